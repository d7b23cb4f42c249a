// Reads solc's standard JSON from stdin, writes its answer to stdout. Imports are looked up in the folder given as first argument.
"use strict";
const fs = require("fs");
const path = require("path");
const modules = path.resolve(process.argv[2]);
const solc = require(path.join(modules, "solc"));

function read(name) {
  const file = path.resolve(modules, name);
  if (!file.startsWith(modules + path.sep)) return { error: `import outside the library: ${name}` };
  try {
    return { contents: fs.readFileSync(file, "utf8") };
  } catch (error) {
    return { error: `${name}: ${error.code}` };
  }
}

process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: read }));
