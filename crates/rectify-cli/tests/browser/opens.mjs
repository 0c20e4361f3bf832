// Seconds from the start of a page's load until every figure on the screen is drawn: opens.mjs PAGE…

import { statSync } from "node:fs";
import { launch, open } from "./browser.mjs";

const browser = await launch();
for (const path of process.argv.slice(2)) {
  const times = [];
  for (let round = 0; round < 5; round++) {
    const { page, close } = await open(browser, path);
    // By the page's own clock: asking from here takes a tenth of a second more.
    const all = await page.waitForFunction(() => window.drawnAfter.all);
    times.push((await all.jsonValue()) / 1000);
    await close();
  }
  times.sort((a, b) => a - b);
  console.log(`${path}: ${(statSync(path).size / 1e6).toFixed(1)} MB, ${times[2].toFixed(2)} s (median of 5)`);
}
await browser.close();
