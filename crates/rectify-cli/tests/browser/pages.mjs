// Opens pages that Rectify wrote as a reader would, and fails with all that is wrong: pages.mjs PAGE…

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";

import { PHONE, axe, drawAll, launch, open } from "./browser.mjs";

const browser = await launch();
const wrong = [];

async function check(path, what, options, body) {
  const { page, faults, close } = await open(browser, path, options);
  try {
    await body(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    wrong.push(`${basename(dirname(path))}/${basename(path)}, ${what}: ${error.message}`);
  } finally {
    await close();
  }
}

async function fits(page) {
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen}`);
}

// Every trace with a value has its nodes.
async function drawn(page) {
  const plots = await page.locator(".plot").evaluateAll((plots) =>
    // What is folded away has a box, and cannot be seen.
    plots.filter((plot) => plot.checkVisibility()).map((plot) => {
      const finite = (values) => Array.isArray(values) && values.flat().some((value) => Number.isFinite(value));
      const of = (type) => plot.data.filter((trace) => trace.visible !== false && (trace.type ?? "scatter") === type && finite(trace.z ?? trace.y));
      const lines = [...plot.querySelectorAll(".scatterlayer .trace")].filter((trace) => trace.querySelector("path[d]:not([d=''])"));
      const box = plot.querySelector(".main-svg")?.getBoundingClientRect() ?? { width: 0, height: 0 };
      return {
        id: plot.id,
        wanted: [of("scatter").length, of("heatmap").length],
        drawn: [lines.length, plot.querySelectorAll(".heatmaplayer image").length],
        size: [box.width, box.height],
        words: plot.getAttribute("role") === "img" ? plot.getAttribute("aria-label").length : 0,
      };
    }),
  );
  for (const plot of plots) {
    assert.deepEqual(plot.drawn, plot.wanted, `${plot.id}: lines and heat maps`);
    assert.ok(plot.size[0] > 150 && plot.size[1] > 100, `${plot.id} is ${plot.size} px large`);
    assert.ok(plot.words > 20, `${plot.id} has no words for those who do not see it`);
  }
  return plots.length;
}

async function accessible(page) {
  await page.evaluate(axe());
  const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  const told = found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, []);
}

// The colours of the page and of the figures that are seen on it.
const papers = (page) =>
  page.evaluate(() => {
    const plots = [...document.querySelectorAll(".plot")].filter((plot) => plot.checkVisibility());
    return [getComputedStyle(document.body).backgroundColor, ...new Set(plots.map((plot) => plot.layout?.paper_bgcolor))];
  });

async function saved(page, press) {
  const [download] = await Promise.all([page.waitForEvent("download"), press()]);
  return [download.suggestedFilename(), readFileSync(await download.path())];
}

// Printing draws what had not been on the screen, on white, and leaves nothing folded away.
async function prints(page) {
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await drawn(page);
  assert.deepEqual(new Set(await papers(page)), new Set(["rgb(255, 255, 255)"]));
  assert.equal(await page.locator("details:not([open])").count(), 0);
  assert.equal(await page.locator(".tools:visible, nav:visible, .time:visible").count(), 0);
  assert.ok((await page.pdf()).length > 10_000);
}

// How long a reader waits for figures. Told, not judged: it is the machine's, too.
async function waited(page) {
  await page.waitForFunction(() => window.drawnAfter.all);
  const { first, all } = await page.evaluate(() => window.drawnAfter);
  return first ? `first figure after ${first.toFixed(0)} ms, all on the screen after ${all.toFixed(0)} ms` : "no figure on the screen";
}

// Zooms the first figure, moves what it shows, and goes back, by keyboard alone.
async function zooms(page) {
  const plot = page.locator(".plot").first();
  const ranges = () => plot.evaluate((plot) => ["xaxis", "yaxis"].map((axis) => [...plot.layout[axis].range]));
  const widths = async () => (await ranges()).map(([low, high]) => high - low);
  const begin = await ranges();
  const whole = await widths();
  const near = (a, b) => a.every((each, place) => Math.abs(each / b[place] - 1) < 1e-9);
  await plot.focus();
  await page.keyboard.press("+");
  assert.ok(near(await widths(), whole.map((width) => 0.6 * width)), `+ shows ${await widths()} of ${whole}`);
  assert.match(await plot.evaluate((plot) => getComputedStyle(plot, "::after").content), /zoom/, "what the keys do can be seen");
  assert.match(await page.locator(`#${await plot.getAttribute("aria-describedby")}`).textContent(), /zoom/, "and heard");
  for (const [key, axis, sign] of [["ArrowRight", 0, 1], ["ArrowLeft", 0, -1], ["ArrowUp", 1, 1], ["ArrowDown", 1, -1]]) {
    const before = await ranges();
    await page.keyboard.press(key);
    const after = await ranges();
    const moved = (after[axis][0] - before[axis][0]) / (before[axis][1] - before[axis][0]);
    assert.ok(Math.abs(moved - 0.2 * sign) < 1e-9, `${key} moves by ${moved}`);
    assert.deepEqual(after[1 - axis], before[1 - axis], `${key} moves the other axis`);
  }
  await page.keyboard.press("-");
  assert.ok(near(await widths(), whole), `− after + shows ${await widths()} of ${whole}`);
  await page.keyboard.press("-");
  await page.keyboard.press("0");
  assert.deepEqual(await ranges(), begin, "0 goes back");
}

for (const path of process.argv.slice(2)) {
  let figures = 0;
  const times = {};
  await check(path, "phone, dark", { ...PHONE, colorScheme: "dark" }, async (page) => {
    if ((await page.locator(".plot").count()) > 0) times.phone = await waited(page);
    await drawAll(page);
    figures = await drawn(page);
    await fits(page);
    const crowded = await page.locator("td.text, th.long").evaluateAll((cells) => cells.filter((cell) => cell.offsetParent && cell.textContent.length > 40 && cell.offsetWidth < 120).map((cell) => cell.textContent));
    assert.deepEqual(crowded, [], "cells a word wide");
    const paper = (colour) => (figures > 0 ? [colour, colour] : [colour]);
    assert.deepEqual(await papers(page), paper("rgb(22, 22, 22)"));
    await accessible(page);
    await page.getByRole("button", { name: "light page" }).click();
    await drawAll(page);
    assert.deepEqual(await papers(page), paper("rgb(255, 255, 255)"));
  });
  await check(path, "wide, light", { viewport: { width: 1920, height: 1080 }, colorScheme: "light" }, async (page) => {
    if (figures > 0) times.wide = await waited(page);
    await drawAll(page);
    assert.equal(await drawn(page), figures);
    await fits(page);
    // The text and its figures use the width.
    if (figures > 1) {
      const right = await page.evaluate(() => Math.max(...[...document.querySelectorAll(".plot, .scroll")].map((each) => each.getBoundingClientRect().right)));
      assert.ok(right > 1500, `the page's right end is at ${right} px`);
    }
    await accessible(page);
    const slider = page.getByRole("slider");
    if ((await slider.count()) > 0) {
      const state = () => page.evaluate(() => [...document.querySelectorAll(".plot")].filter((plot) => plot.drawing.frames && plot.checkVisibility()).map((plot) => JSON.stringify(plot.data.map((trace) => trace.z ?? trace.y))));
      const end = await state();
      await slider.focus();
      await page.keyboard.press("Home");
      await drawAll(page);
      const start = await state();
      const still = end.filter((values, place) => values === start[place]).length;
      assert.ok(still < end.length / 2, `${still} of ${end.length} figures do not move with the slider`);
      assert.match(await page.locator("figcaption").first().textContent(), /at epoch 0/);
      await page.getByRole("button", { name: "play" }).press("Enter");
      await page.getByRole("button", { name: "pause" }).waitFor();
      await page.getByRole("button", { name: "play" }).waitFor({ timeout: 20_000 });
      assert.equal(await slider.inputValue(), await slider.getAttribute("max"));
      await drawAll(page);
      assert.deepEqual(await state(), end, "the end is the end again");
    }
    const boxes = page.locator(".legend input");
    if ((await boxes.count()) > 0) {
      const name = await boxes.first().inputValue();
      const shown = () => page.evaluate((name) => [...document.querySelectorAll(".plot")].flatMap((plot) => plot.data ?? []).filter((trace) => trace.legendgroup === name && trace.visible !== false).length, name);
      assert.ok((await shown()) > 0);
      await boxes.first().press("Space");
      assert.equal(await shown(), 0);
      await boxes.first().press("Space");
      assert.ok((await shown()) > 0);
    }
    const whole = page.locator(".whole").first();
    if ((await whole.count()) > 0) {
      const range = () => whole.evaluate((button) => [...button.closest("figure").querySelector(".plot").layout.yaxis.range]);
      const zoomed = await range();
      await whole.press("Enter");
      const all = await range();
      assert.ok(all[1] - all[0] > zoomed[1] - zoomed[0], `${all} is not wider than ${zoomed}`);
      await whole.press("Enter");
      assert.deepEqual(await range(), zoomed);
    }
    if (figures > 0) {
      await zooms(page);
      const large = page.getByRole("button", { name: "large, alone" }).first();
      await large.press("Enter");
      const figure = page.locator("figure.beamer");
      const box = await figure.locator(".main-svg").first().boundingBox();
      const screen = await page.evaluate(() => [innerWidth, innerHeight]);
      assert.ok(box.width > 0.9 * screen[0] && box.height > 0.6 * screen[1], `${box.width} × ${box.height} of ${screen}`);
      const before = await figure.locator(".plot").getAttribute("id");
      await page.keyboard.press("ArrowRight");
      if (figures > 1) assert.notEqual(await figure.locator(".plot").getAttribute("id"), before);
      await page.keyboard.press("Escape");
      await figure.waitFor({ state: "detached" });
      assert.ok(await large.evaluate((button) => button === document.activeElement), "the reader is back where they were");
      const [svg, drawing] = await saved(page, () => page.getByRole("button", { name: "download as SVG" }).first().press("Enter"));
      assert.match(svg, /^(?!newplot)[\p{L}\p{N}.-]+\.svg$/u);
      assert.ok(drawing.toString().startsWith("<svg"));
      const [png, pixels] = await saved(page, () => page.getByRole("button", { name: "download as PNG" }).first().press("Enter"));
      assert.match(png, /\.png$/);
      assert.equal(pixels.subarray(1, 4).toString(), "PNG");
    }
    const table = page.locator(".scroll").first();
    if ((await table.count()) > 0) {
      const header = await table.locator("thead th").allTextContents();
      const [name, bytes] = await saved(page, () => page.getByRole("button", { name: "download as CSV" }).first().press("Enter"));
      assert.match(name, /\.csv$/);
      const rows = bytes.toString().trimEnd().split("\r\n");
      assert.equal(rows[0], header.map((text) => (text.includes(",") ? `"${text}"` : text)).join(","));
      assert.equal(rows.length, 1 + (await table.locator("tbody tr").count()));
    }
    const lost = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")).filter((href) => !document.querySelector(`[id="${href.slice(1)}"]`)));
    assert.deepEqual(lost, [], "contents that are nowhere");
    const behind = await page.locator("nav a").evaluateAll((links) =>
      links.filter((link) => {
        const heading = document.getElementById(link.hash.slice(1));
        heading.scrollIntoView();
        return heading.getBoundingClientRect().top < document.querySelector(".controls").getBoundingClientRect().bottom;
      }).map((link) => link.hash),
    );
    assert.deepEqual(behind, [], "headings that lie behind the controls");
    await prints(page);
  });
  console.log([`${basename(dirname(path))}/${basename(path)}: ${figures} figures`, ...Object.entries(times).map((time) => time.join(": "))].join("; "));
}

await browser.close();
if (wrong.length > 0) {
  console.error(wrong.join("\n\n"));
  process.exit(1);
}
