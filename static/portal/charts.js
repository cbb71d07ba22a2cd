// Draws the server's figures with Plotly: follows light and dark, the reader's language, and htmx swaps.
// A chart is <div data-chart="id">, its figure the JSON in <script id="id" type="application/json">.

const drawn = new Map();

const CHINESE = {
  moduleType: "locale",
  name: "zh-CN",
  dictionary: {
    Autoscale: "自动缩放",
    "Box Select": "框选",
    "Download plot as a PNG": "下载为图片",
    "Download plot": "下载为图片",
    Pan: "平移",
    "Reset axes": "还原",
    Reset: "还原",
    Zoom: "放大",
    "Double-click to zoom back out": "双击还原",
    "Taking snapshot - this may take a few seconds": "正在生成图片",
    "Snapshot succeeded": "图片已生成",
  },
  format: {
    days: ["星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"],
    shortDays: ["周日", "周一", "周二", "周三", "周四", "周五", "周六"],
    months: ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"],
    shortMonths: ["1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"],
    date: "%Y-%m-%d",
  },
};

const isChinese = () => document.documentElement.lang.toLowerCase().startsWith("zh");
const theme = () => (document.documentElement.classList.contains("dark") ? "dark" : "light");

// A trace that belongs to a source says so in `meta.source`; its colour is the source's in this theme.
function colored(trace, template) {
  const source = trace.meta && trace.meta.source;
  if (source === undefined) return trace;
  const colors = template.layout.colorway;
  const color = colors[source % colors.length];
  return {
    ...trace,
    marker: { ...trace.marker, color, line: { ...(trace.marker || {}).line, color } },
    line: { ...trace.line, color },
    error_x: trace.error_x && { ...trace.error_x, color },
  };
}

// Dates are told in the reader's order: "Mon 3 Mar 2026", "2026年3月3日 周一".
function layoutFor(figure, template) {
  const layout = { ...figure.layout, template, autosize: true };
  if (isChinese() && layout.xaxis && layout.xaxis.type === "date") {
    layout.xaxis = { ...layout.xaxis, hoverformat: "%Y年%b%-d日 %a", tickformatstops: [
      { dtickrange: [null, "M1"], value: "%b%-d日" }, { dtickrange: ["M1", null], value: "%Y年%b" }] };
  }
  return layout;
}

function draw(holder) {
  const script = document.getElementById(holder.dataset.chart);
  if (!script || !window.Plotly) return;
  const figure = JSON.parse(script.textContent);
  const template = figure.templates[theme()];
  const data = figure.data.map((trace) => colored(trace, template));
  const config = { ...figure.config, locale: isChinese() ? "zh-CN" : "en" };
  window.Plotly.react(holder, data, layoutFor(figure, template), config).then(() => {
    holder.classList.add("is-drawn");
    drawn.set(holder, figure);
  });
}

function drawAll(root) {
  const found = [...root.querySelectorAll("[data-chart]")];
  if (root.matches && root.matches("[data-chart]")) found.push(root);
  found.forEach(draw);
}

function forget() {
  for (const holder of drawn.keys()) {
    if (holder.isConnected) continue;
    window.Plotly.purge(holder);
    drawn.delete(holder);
  }
}

function start() {
  if (!window.Plotly) return;
  window.Plotly.register(CHINESE);
  drawAll(document);
  document.addEventListener("htmx:afterSettle", (event) => {
    forget();
    drawAll(event.target);
  });
  new MutationObserver(() => drawn.forEach((_, holder) => draw(holder))).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["class"],
  });
}

start();
