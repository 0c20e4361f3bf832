// Debian's Chromium, driven by playwright-core. `RECTIFY_BROWSER` names a folder that npm installed package.json's packages in.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(resolve(process.env.RECTIFY_BROWSER ?? ".", "package.json"));
const { chromium } = require("playwright-core");

// The script of axe-core, which looks for what people with a disability stumble over.
export const axe = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const PHONE = { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

// Without what asks for the network at every start.
export function launch() {
  const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  return chromium.launch({ executablePath: process.env.RECTIFY_CHROMIUM ?? "/usr/bin/chromium", args: quiet });
}

// Runs in the page: takes down when its first figure was drawn, if it is near the screen, and when every one on the screen,
// in milliseconds after the navigation began.
function clock() {
  const drawn = (plot) => Boolean(plot.querySelector(".main-svg"));
  const onScreen = (plot) => {
    const { top, bottom } = plot.getBoundingClientRect();
    return plot.checkVisibility() && bottom > 0 && top < innerHeight;
  };
  window.drawnAfter = {};
  const look = () => {
    const plots = [...document.querySelectorAll(".plot")];
    if (plots.some(drawn)) window.drawnAfter.first ??= performance.now();
    if (document.readyState === "complete" && plots.filter(onScreen).every(drawn)) window.drawnAfter.all = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

// A page without network, with all that it complained of and asked for.
export async function open(browser, path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1130, height: 900 }, offline: true, acceptDownloads: true, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error}`));
  page.on("request", (request) => {
    const url = request.url();
    const own = url === pathToFileURL(path).href || url.startsWith("blob:") || url.startsWith("data:");
    if (!own) faults.push(`asks for ${url}`);
  });
  await page.addInitScript(clock);
  await page.goto(pathToFileURL(path).href);
  return { page, faults, close: () => context.close() };
}

// Scrolls over the page, since what is far from the screen is not drawn.
export async function drawAll(page) {
  await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    for (let top = 0; top < document.documentElement.scrollHeight; top += innerHeight) {
      scrollTo(0, top);
      await frame();
      await frame();
    }
    scrollTo(0, 0);
    await frame();
  });
}
