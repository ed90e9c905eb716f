// Draws a chart over the server's own, from the table beside it: the same figures, with the day under the pointer.
(() => {
  "use strict";
  const DAY_S = 86400;
  const dayName = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

  function read(table) {
    const names = [...table.tHead.rows[0].cells].slice(1, -1).map((cell) => cell.textContent);
    const rows = [...table.tBodies[0].rows];
    const days = rows.map((row) => Date.parse(row.cells[0].textContent + "T00:00:00Z") / 1000);
    const amounts = names.map((_, at) => rows.map((row) => Number(row.cells[at + 1].firstElementChild.value) / 1e12));
    const texts = rows.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent));
    return { names, days, amounts, texts };
  }

  function colours(names) {
    return names.map((_, at) => {
      const probe = document.createElement("i");
      probe.className = `s${at} probe`;
      document.body.append(probe);
      const colour = getComputedStyle(probe).backgroundColor;
      probe.remove();
      return colour;
    });
  }

  function draw(box) {
    const table = document.querySelector(box.dataset.chart);
    if (!table || !window.uPlot) return;
    const { names, days, amounts, texts } = read(table);
    const fills = colours(names);
    const tops = amounts.map((_, at) => days.map((__, day) => amounts.slice(0, at + 1).reduce((sum, one) => sum + one[day], 0)));
    const style = getComputedStyle(document.body);
    const muted = getComputedStyle(box).color;
    const bars = uPlot.paths.bars({ size: [0.75, 60] });
    const tip = document.createElement("p");
    tip.className = "chart-tip";
    tip.setAttribute("aria-hidden", "true");
    box.querySelector("svg")?.toggleAttribute("hidden", true);
    box.querySelector(".uplot")?.remove();
    box.querySelector(".chart-tip")?.remove();
    const order = names.map((_, at) => at).reverse();
    const axis = { stroke: muted, grid: { show: false }, ticks: { show: false }, font: `11px ${style.fontFamily}` };
    new uPlot({
      width: box.clientWidth,
      height: 200,
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { range: [days[0] - DAY_S / 2, days.at(-1) + DAY_S / 2] }, y: { range: (_, __, max) => [0, max || 1] } },
      axes: [{ ...axis, space: 60, size: 28, values: (_, marks) => marks.map((mark) => dayName.format(mark * 1000)) }, { ...axis, size: 56, grid: { show: true, stroke: "rgb(128 128 128 / 18%)", width: 1 }, values: (_, marks) => marks.map((mark) => `$${mark < 1 && mark > 0 ? mark.toPrecision(2) : mark}`) }],
      series: [{}, ...order.map((at) => ({ label: names[at], paths: bars, fill: fills[at], stroke: fills[at], width: 0, points: { show: false } }))],
      hooks: { setCursor: [(chart) => {
        const at = chart.cursor.idx;
        tip.textContent = at == null ? "" : `${new Date(days[at] * 1000).toISOString().slice(0, 10)}: ${names.map((name, n) => `${name} ${texts[at][n]}`).filter((text) => !text.endsWith(" $0.00")).join(", ")} — ${texts[at].at(-1)}`;
      }] },
    }, [days, ...order.map((at) => tops[at])], box);
    box.append(tip);
  }

  const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
  let wait;
  window.addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(all, 150); });
  document.addEventListener("htmx:after:swap", all);
  document.addEventListener("lectr:theme", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  all();
})();
