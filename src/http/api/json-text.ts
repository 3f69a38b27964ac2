/** An answer that was made into JSON already; sent as it is. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For whoever makes JSON of it without knowing what it is. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

/** The JSON text of any answer. */
export function jsonOf(answer: unknown): string {
  return answer instanceof JsonText ? answer.text : JSON.stringify(answer);
}
