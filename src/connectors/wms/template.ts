import { StockmeshError } from '../../domain/errors.ts';

/** A request body as the configuration writes it: JSON whose texts may hold `{{name}}`. */
export type BodyTemplate =
  | null
  | boolean
  | number
  | string
  | readonly BodyTemplate[]
  | { readonly [key: string]: BodyTemplate };

export type TemplateValue = string | number | readonly string[] | null;
export type TemplateValues = Readonly<Record<string, TemplateValue>>;

const placeholder = /\{\{([a-z][A-Za-z]*)(:number)?\}\}/g;
const wholePlaceholder = /^\{\{([a-z][A-Za-z]*)(:number)?\}\}$/;

/**
 * Fills a body. A text that is nothing but `{{name}}` becomes the value itself (a number, a list, null), `{{name:number}}`
 * becomes a number (of a list: each of its items); inside a longer text the value is inserted as text. The result is built as a value and serialised
 * once, so no value can end a string or add a key.
 */
export function fillBody(template: BodyTemplate, values: TemplateValues): BodyTemplate {
  if (typeof template === 'string') return fillLeaf(template, values);
  if (Array.isArray(template)) {
    const list: readonly BodyTemplate[] = template;
    return list.map((item) => fillBody(item, values));
  }
  if (typeof template === 'object' && template !== null) {
    return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillBody(value, values)]));
  }
  return template;
}

/** Text with values inserted; `encode` protects what the text has a meaning for. */
export function fillText(
  template: string,
  values: TemplateValues,
  encode: (text: string) => string = (text) => text,
): string {
  return template.replace(placeholder, (_whole, name: string) => encode(textOf(values[name] ?? null)));
}

/** Like `fillText`; undefined when the text is one placeholder that has no value: the parameter is then left out. */
export function fillParameter(template: string, values: TemplateValues): string | undefined {
  const name = wholePlaceholder.exec(template)?.[1];
  if (name !== undefined && (values[name] ?? null) === null) return undefined;
  return fillText(template, values);
}

/** Throws CONFIG_INVALID for a name that nothing fills. */
export function checkNames(
  what: string,
  template: BodyTemplate | undefined,
  known: ReadonlySet<string>,
): void {
  if (template === undefined) return;
  for (const match of JSON.stringify(template).matchAll(placeholder)) {
    const name = match[1] ?? '';
    if (known.has(name)) continue;
    throw new StockmeshError('CONFIG_INVALID', {
      problems: [`${what} uses {{${name}}}, which is none of ${[...known].join(', ')}`],
    });
  }
}

function fillLeaf(template: string, values: TemplateValues): BodyTemplate {
  const whole = wholePlaceholder.exec(template);
  if (whole === null) return fillText(template, values);
  const value = values[whole[1] ?? ''] ?? null;
  if (whole[2] === undefined || value === null) return value;
  return typeof value === 'object' ? value.map(Number) : Number(value);
}

function textOf(value: TemplateValue): string {
  if (value === null) return '';
  return typeof value === 'object' ? value.join(',') : String(value);
}
