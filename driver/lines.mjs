// What the road's module says: fields, a line each, as src/road/wire.rs writes them.

export class Lines {
  #text;
  #at = 0;

  constructor(text) {
    this.#text = text;
  }
  /** The next field. */
  text() {
    const end = this.#text.indexOf("\n", this.#at);
    if (end < 0) throw new Error("a command that ends early");
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return line;
  }
  /** Back to the first field. */
  again() {
    this.#at = 0;
  }
  /** The next field, or undefined where it is empty. */
  optional() {
    return this.text() || undefined;
  }
  number() {
    return Number(this.text());
  }
  /** A number, or undefined. */
  maybe() {
    const line = this.text();
    return line === "" ? undefined : Number(line);
  }
  flag() {
    return this.text() === "1";
  }
  /** Calls `each` with every name of a list. */
  names(each) {
    for (let left = this.number(); left > 0; left -= 1) each(this.text());
  }
  /** Calls `each` with every name and value of a list. */
  pairs(each) {
    for (let left = this.number(); left > 0; left -= 1) each(this.text(), this.text());
  }
  /** What stands last. */
  rest() {
    return this.#text.slice(this.#at);
  }
}
