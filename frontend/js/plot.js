// Draws each plot of the page with ECharts, in the colours of the theme; the table behind it then folds away.
import { BarChart, LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, AriaComponent, GridComponent, LegendComponent, TooltipComponent, CanvasRenderer]);

const SERIES_EDGES = ["vermilion", "teal", "purple", "gold", "navy", "rose", "olive", "slate"];

function colours() {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const read = (name) => getComputedStyle(probe).getPropertyValue(name).trim();
  const found = { ink: read("--ink"), soft: read("--soft"), line: read("--line"), card: read("--card"), font: read("--font"), series: [] };
  for (const edge of SERIES_EDGES) {
    probe.className = `edge-${edge}`;
    found.series.push(read("--edge"));
  }
  probe.remove();
  return found;
}

function options(plot) {
  const { ink, soft, line, card, font, series } = colours();
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const say = new Intl.NumberFormat(plot.language);
  const axis = { axisLabel: { color: soft, fontFamily: font }, axisLine: { lineStyle: { color: line } }, splitLine: { lineStyle: { color: line } } };
  return {
    color: series,
    animation: !isStill,
    textStyle: { color: ink, fontFamily: font },
    aria: { enabled: true, label: { description: plot.title } },
    grid: { left: 8, right: 16, top: plot.series.length > 1 ? 44 : 16, bottom: 8, containLabel: true },
    // It scrolls, because several rows of it would lie over the plot on a phone.
    legend: {
      show: plot.series.length > 1, type: "scroll", top: 0, left: 0, textStyle: { color: ink }, inactiveColor: soft,
      pageIconColor: ink, pageIconInactiveColor: line, pageTextStyle: { color: soft },
    },
    // Rich text, because a tooltip of HTML would need inline styles, which the policy forbids.
    tooltip: {
      trigger: "axis", renderMode: "richText", backgroundColor: card, borderColor: line, textStyle: { color: ink },
      valueFormatter: (value) => `${say.format(value)}${plot.unit ? ` ${plot.unit}` : ""}`,
    },
    // The outermost labels are turned inwards: on a phone a centred one would be cut at the canvas' edge.
    xAxis: {
      type: "category", data: plot.categories, ...axis, splitLine: { show: false },
      axisLabel: { ...axis.axisLabel, alignMinLabel: "left", alignMaxLabel: "right", hideOverlap: true },
    },
    yAxis: { type: "value", minInterval: 1, ...axis, axisLabel: { ...axis.axisLabel, formatter: (value) => say.format(value) } },
    series: plot.series.map(([name, data]) => ({
      name, data, type: plot.kind, stack: plot.isStacked ? "all" : undefined, smooth: false,
      symbol: "circle", barMaxWidth: 40, itemStyle: { borderRadius: plot.isStacked ? 0 : [4, 4, 0, 0] },
      areaStyle: plot.kind === "line" && plot.isStacked ? { opacity: 0.25 } : undefined,
    })),
  };
}

function draw(figure) {
  const plot = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const canvas = figure.querySelector("[data-canvas]");
  canvas.hidden = false;
  figure.querySelector("[data-table]").open = false;
  const chart = init(canvas, null, { renderer: "canvas" });
  chart.setOption(options(plot));
  new ResizeObserver(() => chart.resize()).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.setOption(options(plot)));
}

function drawAll(within) {
  for (const figure of within.querySelectorAll("[data-plot]:not([data-drawn])")) {
    figure.dataset.drawn = "";
    draw(figure);
  }
}

drawAll(document);
document.addEventListener("htmx:load", (event) => drawAll(event.target.parentElement ?? document));
