import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { RouteScope } from '../private-route.ts';
import type { Caller } from './caller.ts';

export interface RouteSchemas {
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly headers?: z.ZodType;
  readonly body?: z.ZodType;
  /** By status. They describe; what is sent is not parsed again (tests hold the answers against them). */
  readonly answers?: Readonly<Record<number, z.ZodType>>;
}

type Output<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

export interface RouteInput<Schemas extends RouteSchemas> {
  readonly caller: Caller;
  readonly params: Output<Schemas['params']>;
  readonly query: Output<Schemas['query']>;
  readonly headers: Output<Schemas['headers']>;
  readonly body: Output<Schemas['body']>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * One address of the private listener that others than the operator's own commands call. Validation, the OpenAPI
 * document, the scope check and its test all read it. `open` needs no credentials at all.
 */
export interface Route<Schemas extends RouteSchemas = RouteSchemas> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify's spelling (`/a/:id`). */
  readonly url: string;
  readonly scope: RouteScope;
  readonly summary: string;
  readonly tag: string;
  /** Left out of the OpenAPI document. */
  readonly isHidden?: boolean;
  readonly schemas: Schemas;
  /** What it returns is sent as JSON, unless it sent through `reply` itself and returned that. */
  readonly handler: (input: RouteInput<Schemas>) => unknown;
}

/** Checks a declaration against its schemas, and forgets their types: the table holds routes of every kind. */
export function route<const Schemas extends RouteSchemas>(declaration: Route<Schemas>): Route {
  return declaration;
}
