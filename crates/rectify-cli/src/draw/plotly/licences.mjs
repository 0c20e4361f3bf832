// Writes the licences of all that esbuild put into plotly.min.js.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const { outputs } = JSON.parse(readFileSync("bundle.json", "utf8"));
const packageOf = (path) => /^.*node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(path)?.[0];
const used = Object.entries(outputs["plotly.min.js"].inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
const folders = [...new Set(used.map(([path]) => packageOf(path)))].filter(Boolean).sort();
const texts = folders.map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((file) => /^licen[sc]e/i.test(file));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "It brings no text of it."}\n`;
});
writeFileSync("LICENSE", texts.join(`\n${"-".repeat(80)}\n\n`));
