// A gate whose time is set by hand: nothing waits, and no test depends on how fast it runs.
//
//   const gate = await startClockedGate({ policy, at: Date.parse("2026-01-01T00:00:00Z") });
//   await gate.advance(2 * DAY);                 // stands still there until it is set again
//   await gate.ring();                           // every alarm that is due by now, of any object
//   await gate.alarm("KEY", key.family);         // one object's alarm, due or not
//   await gate.advanceTo(end, { ringing: true }) // stops at each alarm on the way, and rings it
//
// Everything else is `startGate`'s; after kill() and start() or restart() the time is as it was. Time that
// stands still fills rate limits: give keys large ones, or advance. An object is idle when its 6 s have
// been advanced over; its memory goes only with restart() or kill().
import { startGate } from "./gate.mjs";
import { wrapped } from "./wrap.mjs";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/**
 * Starts a gate on a clock that stands at `at`: a whole hour near the real time unless it is given.
 *
 * @param {object} options those of startGate, and
 * @param {number} [options.at] ms since 1970
 * @param {string} [options.worker] one in tests/support that is made of clock-worker.mjs
 */
export async function startClockedGate({ at = Math.floor(Date.now() / HOUR) * HOUR, worker = "clock-worker.mjs", ...options }) {
  const gate = await startGate({ ...options, worker: wrapped(worker) });
  const ask = async (name, value, isolate = gate) => {
    const answer = await isolate.request({ headers: { [`x-test-${name}`]: String(value) } });
    if (answer.status !== 200) throw new Error(`x-test-${name}: ${value}: ${answer.status} ${answer.text}\n${gate.output}`);
    return answer.json;
  };
  gate.now = at;
  /** Asks the Worker of a test what it takes under the header `x-test-{name}`. */
  gate.ask = ask;
  /** Sets the time, in ms since 1970, in all of its isolates: each is ahead by its `ahead` ms. */
  gate.setTime = async (ms) => {
    await ask("clock", ms);
    for (const edge of gate.edges) await ask("clock", ms + (edge.ahead ?? 0), edge);
    gate.now = ms;
  };
  gate.advance = (ms) => gate.setTime(gate.now + ms);
  /** Rings the alarm of one object; when it was set for, or null. */
  gate.alarm = (binding, name) => ask("alarm", `${binding}/${name}`);
  /** When the alarm of one object is set for, or null. */
  gate.alarmAt = (binding, name) => ask("alarm-at", `${binding}/${name}`);
  /** The alarms that are set, the earliest first, of objects loaded since the start: `{ binding, id, at }`. */
  gate.alarms = () => ask("alarms", "list");
  /** Rings every alarm that is due, until none is; how many that were. */
  gate.ring = () => ask("alarms", "ring");
  /** Goes to `ms`, and if it rings, at its own time each alarm on the way there. */
  gate.advanceTo = async (ms, { ringing = false } = {}) => {
    while (ringing) {
      const next = (await gate.alarms())[0];
      if (next === undefined || next.at > ms) break;
      if (next.at > gate.now) await gate.setTime(next.at);
      await gate.ring();
    }
    await gate.setTime(ms);
  };
  const start = gate.start.bind(gate);
  gate.start = async () => {
    await start();
    await gate.setTime(gate.now);
  };
  await gate.setTime(at);
  return gate;
}
