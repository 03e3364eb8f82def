// What is left of one limit between two answers.
//
// The gate counts an admission for exactly one window from its instant on, so every call of this
// page comes back one window after it was made. Calls that somebody else made with the same key are
// seen as a smaller remainder; when they come back is known of the first one alone (`t`), of the
// others that it is at most a window away. So the gauge never promises more than there is.

/** @typedef {import("../tollgate.js").Limit} Limit */

export class Gauge {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.quota = 0;
    this.window = 0;
    /** @type {number[]} instants (ms) at which a call that was counted comes back, soonest first */
    this.returns = [];
  }

  /**
   * Takes in what an answer says.
   * @param {Limit} limit
   * @param {boolean} counted whether the call was admitted: a refused one costs nothing
   * @param {number} now ms
   */
  take({ quota, window, remaining, resetsIn }, counted, now) {
    this.quota = quota;
    this.window = window;
    const latest = now + window * 1000;
    const used = Math.max(0, quota - remaining);
    let returns = this.returns.filter((instant) => instant > now && instant <= latest);
    if (counted) returns.push(latest);
    returns = returns.slice(Math.max(0, returns.length - used));
    while (returns.length < used) returns.push(latest);
    if (used > 0) returns[0] = Math.min(returns[0], now + resetsIn * 1000);
    this.returns = returns;
  }

  /**
   * @param {number} now ms
   * @returns {{ remaining: number, next: number | undefined, coming: number[] }} `next`: ms until
   *   one more is left; `coming`: of each that is used up, how much of its wait is over (0 to 1)
   */
  read(now) {
    this.returns = this.returns.filter((instant) => instant > now);
    const wait = this.window * 1000;
    return {
      remaining: Math.max(0, this.quota - this.returns.length),
      next: this.returns.length > 0 ? this.returns[0] - now : undefined,
      coming: this.returns.map((instant) => Math.min(1, Math.max(0, 1 - (instant - now) / wait))),
    };
  }
}
