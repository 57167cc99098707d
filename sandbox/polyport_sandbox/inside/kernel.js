// The process that runs JavaScript cells inside a sandbox, one after another, with the same variables. It speaks what
// `kernel.py` speaks, on the same pipes; nothing in it is secret. A cell is evaluated as in a browser's console:
// `let` and `const` may be declared again, `await` stands at the top, the last expression's value is the result.
"use strict";

const fs = require("node:fs");
const inspector = require("node:inspector");
const net = require("node:net");
const util = require("node:util");
const vm = require("node:vm");

const UP = 1100;
const DOWN = 1101;
const ACKNOWLEDGED = 1102;
const TEXT_MOST = 1 << 20;
const DISPLAY = Symbol.for("Jupyter.display");
const HOLD = Symbol.for("polyport.hold");

class Exit extends Error {
  constructor(code) {
    super(`process.exit(${code})`);
    this.code = code;
  }
}

let received = Buffer.alloc(0);
let number = 0;
let running = null;
let held;

function say(kind, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length, 0);
  head.write(kind, 4, "latin1");
  let rest = Buffer.concat([head, payload]);
  while (rest.length) rest = rest.subarray(fs.writeSync(UP, rest));
}

function plain(value) {
  let text;
  try {
    text = util.inspect(value);
  } catch (error) {
    text = "[a value that could not be shown]";
  }
  return text.length > TEXT_MOST ? `${text.slice(0, TEXT_MOST)}…` : text;
}

function forms(value) {
  let data = {};
  try {
    if (value !== null && typeof value === "object" && typeof value[DISPLAY] === "function") data = { ...value[DISPLAY]() };
  } catch (error) {
    data = {};
  }
  if (!("text/plain" in data)) data["text/plain"] = plain(value);
  return data;
}

function show(data, isResult) {
  const clean = {};
  for (const [mime, content] of Object.entries(data)) {
    clean[mime] = Buffer.isBuffer(content) || content instanceof Uint8Array ? Buffer.from(content).toString("base64") : content;
  }
  say("V", Buffer.from(JSON.stringify({ data: clean, metadata: {}, is_result: isResult })));
  fs.readSync(ACKNOWLEDGED, Buffer.alloc(1), 0, 1, null); // holds the order between displays and output
}

function display(...values) {
  for (const value of values) show(forms(value), false);
}
for (const [name, mime] of Object.entries({
  html: "text/html",
  svg: "image/svg+xml",
  json: "application/json",
  markdown: "text/markdown",
  png: "image/png",
  jpeg: "image/jpeg",
})) {
  display[name] = (content) => show({ [mime]: content, "text/plain": `[${mime}]` }, false);
}

function trace(error) {
  if (!(error instanceof Error) || typeof error.stack !== "string") return `Uncaught ${plain(error)}\n`;
  const lines = error.stack.split("\n").filter((line) => !/^\s+at .*(node:|\[eval\]|\bevalmachine\b)/.test(line));
  if (/^\s+at new Promise \(<anonymous>\)$/.test(lines.at(-1))) lines.pop();  // the inspector's own
  return `${lines.join("\n")}\n`;
}

function tellError(error) {
  const isError = error instanceof Error;
  const told = {
    name: String(isError ? error.name : "Error").slice(0, 256),
    value: String(isError ? error.message : plain(error)).slice(0, 8192),
    traceback: trace(error).slice(-65536),
  };
  say("T", Buffer.from(JSON.stringify(told)));
}

const session = new inspector.Session();
session.connect();
const post = (method, parameters) =>
  new Promise((resolve, reject) => {
    session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result)));
  });

// The value itself, rather than what the inspector tells of it.
async function valueOf(remote) {
  if (remote.type === "undefined") return undefined;
  const argument = remote.objectId ? { objectId: remote.objectId } : remote;
  if (!remote.objectId && remote.unserializableValue === undefined) return remote.value;
  const given = argument.objectId ? argument : { unserializableValue: remote.unserializableValue };
  held = undefined;
  await post("Runtime.callFunctionOn", {
    functionDeclaration: 'function (value) { globalThis[Symbol.for("polyport.hold")](value); }',
    executionContextId: contextId,
    arguments: [given],
  });
  return held;
}

let contextId = 1;
session.on("Runtime.executionContextCreated", ({ params }) => {
  contextId = params.context.id;
});
session.post("Runtime.enable");
session.post("Runtime.disable");

async function evaluate(code) {
  number += 1;
  let evaluation;
  // Through vm, whose watchdog ends even a loop without end when it is interrupted.
  globalThis[HOLD].start = () => {
    evaluation = post("Runtime.evaluate", {
      expression: `${code}\n//# sourceURL=cell-${number}`,
      replMode: true,
      awaitPromise: true,
      generatePreview: false,
    });
  };
  new vm.Script('globalThis[Symbol.for("polyport.hold")].start()').runInThisContext({ breakOnSigint: true });
  const interrupted = new Promise((resolve, reject) => {
    running = { interrupt: () => reject(new Error("interrupted")) };
  });
  const outcome = await Promise.race([evaluation, interrupted]);
  if (outcome.exceptionDetails) throw await valueOf(outcome.exceptionDetails.exception ?? { type: "undefined" });
  return valueOf(outcome.result);
}

async function run(job) {
  let code = 0;
  say("B");
  if (job.stdin && job.stdin.length) {
    const { Readable } = require("node:stream");
    Object.defineProperty(process, "stdin", { value: Readable.from([job.stdin]), configurable: true });
  }
  try {
    const value = await evaluate(job.code.toString());
    if (value !== undefined) show(forms(value), true);
  } catch (error) {
    if (error instanceof Exit) {
      code = error.code;
    } else {
      code = 1;
      tellError(error);
    }
  }
  running = null;
  say("K", Buffer.from(String(code)));
}

function next() {
  if (received.length < 4) return;
  const size = received.readUInt32BE(0);
  if (received.length < 4 + size) return;
  const body = received.subarray(4, 4 + size);
  received = received.subarray(4 + size);
  const fields = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 4 + body.readUInt32BE(at);
    fields.push(body.subarray(at + 4, end));
    at = end;
  }
  const job = {};
  for (let index = 0; index < fields.length; index += 2) job[fields[index].toString()] = fields[index + 1];
  for (const line of (job.env ?? "").toString().split("\n").filter(Boolean)) {
    process.env[line.slice(0, line.indexOf("="))] = line.slice(line.indexOf("=") + 1);
  }
  run(job);
}

Object.defineProperty(globalThis, HOLD, {
  value: (value) => {
    held = value;
  },
});
Object.assign(globalThis, { display, require: require("node:module").createRequire("/work/") });
process.exit = (code = process.exitCode ?? 0) => {
  throw new Exit(Number(code) & 255);
};
process.on("SIGINT", () => running?.interrupt());
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => {
    if (!(error instanceof Exit)) process.stderr.write(`Uncaught ${trace(error)}`);
  });
}
const down = new net.Socket({ fd: DOWN, readable: true, writable: false });
down.on("data", (data) => {
  received = Buffer.concat([received, data]);
  next();
});
down.on("end", () => process.reallyExit(0));
say("R");
