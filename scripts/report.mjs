// What a script says while it works: one line for each step with its time, and for what went
// wrong one line that says how to mend it. Output of a tool is shown only when the tool failed.

/** A fault whose cause is known: what is wrong, and what to do about it. */
export class Mend extends Error {
  constructor(problem, mend) {
    super(problem);
    this.mend = mend;
  }
}

/** A tool that failed for a reason of its own: its last lines say which. */
export class ToolFailed extends Error {
  constructor(message, output) {
    super(message);
    this.output = output;
  }
}

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** Runs one step and says its label, the note it returns, and its time. */
export async function step(label, work) {
  const began = performance.now();
  const start = `  ${label.padEnd(26)} `;
  let open = false;
  const begin = () => {
    open = true;
    process.stdout.write(start);
  };
  // In a terminal at once, in a log when it takes long.
  const timer = setTimeout(begin, process.stdout.isTTY ? 0 : 3_000);
  const end = (note) => {
    clearTimeout(timer);
    process.stdout.write(`${open ? "" : start}${note.padEnd(34)} ${seconds(performance.now() - began)}\n`);
  };
  try {
    end(String((await work()) ?? "done"));
  } catch (error) {
    end("failed");
    throw error;
  }
}

/** Says a fault on standard error: never a stack for what has a known cause. */
export function explain(error) {
  if (error instanceof Mend) {
    console.error(`\n${error.message}\n  → ${error.mend}`);
  } else if (error instanceof ToolFailed) {
    console.error(`\n${lastLines(error.output, 60)}\n\n${error.message}`);
  } else {
    console.error(error);
  }
}

/** Runs a script's main function; a fault ends it with status 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    explain(error);
    process.exitCode = 1;
  }
}

export const lastLines = (text, count) => text.trimEnd().split("\n").slice(-count).join("\n");
