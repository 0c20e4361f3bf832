// The README's picture, from a report: picture.mjs REPORT PICTURE.png

import { drawAll, launch, open } from "./browser.mjs";

const [report, picture] = process.argv.slice(2);
const browser = await launch();
const { page, faults } = await open(browser, report, { viewport: { width: 1200, height: 1600 }, colorScheme: "light" });
await drawAll(page);
await page.screenshot({ path: picture });
await browser.close();
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
