// Long on purpose: the whole vocabulary of a declared warehouse is read in one place.
import type { CountGuards } from '../../domain/count-guard.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../ports.ts';
import type { MomentRules } from './moments.ts';
import type { BodyTemplate } from './template.ts';
import type { UnitRules } from './units.ts';

export const platform = 'wms';

/** As a configuration gives it: what it leaves out may also be there as undefined. */
export type Loosely<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

export interface WmsConnectorOptions {
  readonly connection: WmsConnection;
  /** The API of a preset, when it is not at its usual address. */
  readonly baseUrl?: string | undefined;
  readonly authUrl?: string | undefined;
  /** Current first, then the one before. */
  readonly webhookSecrets: readonly string[];
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  readonly requestTimeoutMs?: number | undefined;
}

export type WmsConnection = HttpConnection | ShipHeroConnection | ShipBobConnection | CsvConnection;

export interface ShipHeroConnection {
  readonly kind: 'shiphero';
  readonly credentials:
    | { readonly kind: 'login'; readonly username: string; readonly password: Secret }
    | { readonly kind: 'refresh-token'; readonly refreshToken: Secret };
  readonly pageSize?: number | undefined;
  readonly snapshotEveryMs?: number | undefined;
  readonly guards?: Guards | undefined;
  /** Where ShipHero raised the account's limits; its answers say what is left, but never what is allowed. */
  readonly rates?: ShipHeroRates | undefined;
}

export interface ShipHeroRates {
  readonly creditCapacity?: number | undefined;
  readonly creditsPerS?: number | undefined;
  readonly requestsPer5Min?: number | undefined;
}

export interface ShipBobConnection {
  readonly kind: 'shipbob';
  /** A personal access token, or the bearer token of an OAuth2 grant. */
  readonly accessToken: Secret;
  readonly pageSize?: number | undefined;
  readonly guards?: Guards | undefined;
}

/** Any warehouse whose API can be described: no code of its own. */
export interface HttpConnection {
  readonly kind: 'http';
  readonly baseUrl: string;
  readonly auth: Authorization;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly limits?: Limits | undefined;
  /** Answers that mean "later". 429 always does. */
  readonly throttling?: readonly ThrottleRule[] | undefined;
  /** Leads to something in answers that are failures although their status is 200 (GraphQL `errors`, JSON-RPC `error`). */
  readonly failurePath?: string | undefined;
  /** Statuses by which the API says that the token is over; default 401. */
  readonly expiredStatuses?: readonly number[] | undefined;
  readonly snapshot: Reading;
  /** What changed since the last reading. A snapshot is still taken, every `snapshotEveryMs`. */
  readonly changes?: ChangeReading | undefined;
  readonly snapshotEveryMs?: number | undefined;
  /** Reads the items of hints again. */
  readonly lookup?: (Reading & { readonly batchSize: number }) | undefined;
  readonly webhook?: WebhookSource | undefined;
  readonly guards?: Guards | undefined;
  /** A SKU that this many complete snapshots in a row leave out counts as zero. Absent: it keeps its figure. */
  readonly zeroMissingAfter?: number | undefined;
  /** How much older than its answer a figure may be. */
  readonly readLagMs?: number | undefined;
}

export type Authorization =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: Secret }
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, Secret>> }
  | { readonly kind: 'bearer'; readonly token: Secret }
  | ClientCredentials
  | RefreshToken
  | Login;

export interface ClientCredentials {
  readonly kind: 'client-credentials';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** Where the two are sent: in the Authorization header, or in the body. */
  readonly sentIn: 'header' | 'body';
  readonly format: 'form' | 'json';
  readonly scope?: string | undefined;
  /** Further members of the body (Extensiv: `user_login_id`). */
  readonly extra?: Readonly<Record<string, string>> | undefined;
}

export interface RefreshToken {
  readonly kind: 'refresh-token';
  readonly tokenUrl: string;
  readonly format: 'form' | 'json';
  readonly refreshToken?: Secret | undefined;
  readonly clientId?: string | undefined;
  readonly clientSecret?: Secret | undefined;
  /** Asked when there is no refresh token, or the one there is was refused. */
  readonly login?: { readonly url: string; readonly username: string; readonly password: Secret } | undefined;
}

/** A session by user and password: `{{username}}` and `{{password}}` go into the body, parts of the answer into a header. */
export interface Login {
  readonly kind: 'login';
  readonly path: string;
  readonly username: string;
  readonly password: Secret;
  readonly body: BodyTemplate;
  /** Name -> path in the answer; the header may use these names and `{{username}}`. */
  readonly take: Readonly<Record<string, string>>;
  readonly header: {
    readonly name: string;
    readonly prefix?: string | undefined;
    readonly value: string;
    readonly base64?: boolean | undefined;
  };
  readonly lifetimeMs?: number | undefined;
}

export type Limits =
  | { readonly kind: 'none' }
  | { readonly kind: 'token-bucket'; readonly capacity: number; readonly refillPerS: number }
  | { readonly kind: 'sliding-window'; readonly requests: number; readonly windowMs: number }
  | {
      readonly kind: 'credits';
      readonly capacity: number;
      readonly refillPerS: number;
      /** A request costs one credit and one for every row it asks for. */
      readonly requests?: { readonly requests: number; readonly windowMs: number } | undefined;
    };

export interface ThrottleRule {
  readonly status: number;
  /** Regular expression over the body's text; its first group, if any, is the wait. */
  readonly text?: string | undefined;
  /** A value in the body that must be there. */
  readonly path?: string | undefined;
  readonly equals?: string | number | undefined;
  /** Where the wait stands: a header, or a path in the body. */
  readonly waitHeader?: string | undefined;
  readonly waitPath?: string | undefined;
  readonly waitUnit?: 's' | 'ms' | undefined;
}

export interface RequestTemplate {
  readonly method: 'GET' | 'POST';
  /** After the base address. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: BodyTemplate | undefined;
}

export interface Reading {
  readonly request: RequestTemplate;
  readonly paging: Paging;
  /** Leads to the rows of one page. */
  readonly rows: string;
  /** Leads from a row to its parts (per location); their fields are named `@.field`. */
  readonly each?: string | undefined;
  readonly map: CountMapping;
  /** The request is made once for each of these, as `{{place}}`; its rows are at that place. */
  readonly places?: readonly string[] | undefined;
}

export type Paging =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'page';
      readonly first: number;
      readonly size: number;
      readonly totalPath?: string | undefined;
    }
  | { readonly kind: 'offset'; readonly size: number; readonly totalPath?: string | undefined }
  | { readonly kind: 'cursor'; readonly size: number; readonly path: string }
  | { readonly kind: 'next-url'; readonly size: number; readonly path: string }
  | { readonly kind: 'link-header'; readonly size: number }
  /** GraphQL connections: `pageInfo { hasNextPage endCursor }`. */
  | { readonly kind: 'relay'; readonly size: number; readonly pageInfoPath: string };

export interface CountMapping {
  readonly sku: string;
  /** What `lookup` asks by; the SKU when absent. */
  readonly itemId?: string | undefined;
  /** Absent: `places` says it, or the source has one place, called `default`. */
  readonly location?: LocationField | undefined;
  /** Physical units. Never an "available" figure: our own reservations would be subtracted twice. */
  readonly onHand: string;
  /** Subtracted from it: locked, damaged, not for sale. */
  readonly subtract?: readonly string[] | undefined;
  readonly asOf?: (MomentRules & { readonly path: string }) | undefined;
  /** A whole number that grows with every change of the row. */
  readonly version?: string | undefined;
  /** Rows with one of these values are left out (kits, virtual items). */
  readonly skipWhen?: readonly SkipRule[] | undefined;
  readonly units?: Loosely<UnitRules> | undefined;
  readonly skuTrim?: boolean | undefined;
  readonly skuCase?: 'upper' | 'lower' | undefined;
  /** Location of the source -> place. Several may be one place when `duplicates` is `sum`. */
  readonly places?: Readonly<Record<string, string>> | undefined;
  /** Rows at locations that `places` does not name: shown as unknown places, or left out. */
  readonly otherPlaces?: 'report' | 'ignore' | undefined;
  /** Several rows of one SKU at one place: an error, or lots and bins to be added up (then each row needs an id). */
  readonly duplicates?: 'reject' | 'sum' | undefined;
  readonly rowId?: string | undefined;
}

export type LocationField =
  | string
  /** `relay-id`: base64 of `Kind:12`, of which 12 is the id. */
  | { readonly path: string; readonly form: 'relay-id' };

export interface SkipRule {
  readonly path: string;
  readonly equals: string | number | boolean;
}

export interface ChangeReading {
  readonly request: RequestTemplate;
  readonly paging: Paging;
  readonly rows: string;
  readonly increment: Increment;
  readonly use:
    /** The rows are counts. */
    | { readonly kind: 'counts'; readonly map: CountMapping; readonly each?: string | undefined }
    /**
     * The rows name items, which are then read by `lookup`. `seenBy`: what tells one row from another; a row that an
     * overlap shows again is then no second hint.
     */
    | { readonly kind: 'hints'; readonly itemId: string; readonly seenBy?: readonly string[] | undefined }
    | { readonly kind: 'movements'; readonly map: MovementMapping };
}

export type Increment =
  /** `{{since}}`: the start of the last reading, minus the overlap; `{{until}}`: now. */
  | {
      readonly kind: 'since-time';
      readonly overlapMs: number;
      readonly moment: MomentRules;
    }
  /** `{{since}}`: the highest id seen, minus the overlap. Ids must be given when a row becomes visible, not before. */
  | { readonly kind: 'since-id'; readonly path: string; readonly overlap: number }
  /** The source remembers what it told us. An answer lost on its way is lost: the snapshots bring it back. */
  | { readonly kind: 'acknowledged' };

export interface MovementMapping {
  readonly id: string;
  readonly sku: string;
  readonly location?: LocationField | undefined;
  readonly units: string;
  readonly kind: 'received' | 'adjusted' | 'shipped' | 'returned';
  /** Shipments are often told as positive numbers. */
  readonly sign?: 'as-told' | 'negative' | undefined;
  readonly at?: (MomentRules & { readonly path: string }) | undefined;
  readonly reference?: string | undefined;
  readonly reason?: string | undefined;
  readonly places?: Readonly<Record<string, string>> | undefined;
}

export interface WebhookSource {
  readonly signature: WebhookSignature;
  readonly topic:
    | { readonly header: string }
    /** `otherwise`: where an older form of the same body has it. */
    | { readonly path: string; readonly otherwise?: string | undefined }
    | { readonly constant: string };
  /** Absent: the hash of the body. */
  readonly deliveryId?: { readonly header: string } | { readonly path: string } | undefined;
  readonly topics: Readonly<Record<string, WebhookTopic>>;
  /** JSON the sender insists on as answer. */
  readonly acknowledgement?: string | undefined;
}

export type WebhookSignature =
  | {
      readonly kind: 'hmac';
      readonly algorithm: 'sha256' | 'sha1' | 'sha512';
      readonly encoding: 'base64' | 'hex';
      readonly header: string;
      readonly prefix?: string | undefined;
      /** `{body}`, `{ts}.{body}`, `{id}.{ts}.{body}`, `{appKey}{body}`. */
      readonly signed: string;
      readonly timestampHeader?: string | undefined;
      readonly idHeader?: string | undefined;
      readonly appKey?: string | undefined;
      readonly toleranceMs?: number | undefined;
    }
  | { readonly kind: 'standard-webhooks'; readonly toleranceMs?: number | undefined }
  /** The secret itself in a header. */
  | { readonly kind: 'token'; readonly header: string; readonly prefix?: string | undefined }
  | { readonly kind: 'basic'; readonly username: string };

export type WebhookTopic =
  /** Counts, where each row says its moment or version; rows that do not are hints. */
  | { readonly kind: 'counts'; readonly rows: string; readonly map: CountMapping }
  | { readonly kind: 'movements'; readonly rows: string; readonly map: MovementMapping }
  /** Something changed: these items, or (without a path) nobody knows which. */
  | { readonly kind: 'hint'; readonly itemIds?: readonly string[] | undefined }
  | { readonly kind: 'ignore' };

export interface Guards extends Loosely<CountGuards> {
  /** Largest part (0..1) of the rows that may be unreadable. */
  readonly maxBadRowRatio?: number | undefined;
  /** A reading whose figures are all older than this is held. */
  readonly maxAgeMs?: number | undefined;
}

export interface CsvConnection {
  readonly kind: 'csv';
  readonly from:
    | { readonly kind: 'directory'; readonly path: string }
    | {
        readonly kind: 'sftp';
        readonly host: string;
        readonly port?: number | undefined;
        readonly username: string;
        readonly password?: Secret | undefined;
        readonly privateKey?: Secret | undefined;
        readonly path: string;
        /** `SHA256:...` as `ssh-keygen -lf` shows it. Whoever answers with another key gets no credentials. */
        readonly hostKeys: readonly string[];
      };
  /** Regular expression over file names. A group called `at` is the moment, one called `sequence` the file's number. */
  readonly pattern: string;
  readonly settleMs: number;
  /** `snapshot`: everything; `partial`: some rows, absolute; `delta`: signed changes, in gapless sequence. */
  readonly mode: 'snapshot' | 'partial' | 'delta';
  readonly delimiter: ',' | ';' | '\t' | '|';
  readonly encoding: 'utf8' | 'latin1';
  readonly map: CsvMapping;
  /** Of moments in columns and file names that say no offset. */
  readonly zone?: string | undefined;
  readonly guards?: Guards | undefined;
  readonly zeroMissingAfter?: number | undefined;
  readonly maxFileBytes?: number | undefined;
}

export interface CsvMapping {
  readonly sku: string;
  readonly location?: string | undefined;
  /** Of `snapshot` and `partial`. */
  readonly onHand?: string | undefined;
  /** Of `delta`. */
  readonly change?: string | undefined;
  readonly subtract?: readonly string[] | undefined;
  readonly asOf?: string | undefined;
  readonly reason?: string | undefined;
  readonly units?: Loosely<UnitRules> | undefined;
  readonly skuTrim?: boolean | undefined;
  readonly skuCase?: 'upper' | 'lower' | undefined;
}
