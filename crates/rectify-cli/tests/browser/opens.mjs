// Seconds from the start of a page's load until every figure on the screen is drawn: opens.mjs PAGE…

import { statSync } from "node:fs";
import { launch, open } from "./browser.mjs";

const browser = await launch();
for (const path of process.argv.slice(2)) {
  const times = [];
  for (let round = 0; round < 5; round++) {
    const { page, close } = await open(browser, path);
    await page.waitForFunction(() => {
      const seen = [...document.querySelectorAll(".plot")].filter((plot) => {
        const box = plot.getBoundingClientRect();
        return box.height > 0 && box.top < innerHeight && box.bottom > 0;
      });
      return seen.length > 0 && seen.every((plot) => plot.querySelector(".main-svg"));
    });
    times.push((await page.evaluate(() => performance.now())) / 1000);
    await close();
  }
  times.sort((a, b) => a - b);
  console.log(`${path}: ${(statSync(path).size / 1e6).toFixed(1)} MB, ${times[2].toFixed(2)} s (median of 5)`);
}
await browser.close();
