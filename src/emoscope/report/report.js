"use strict";
// One crosshair over the charts over time: shows time and values under the pointer or the arrow keys.
(() => {
  const store = document.getElementById("series");
  if (!store) return;
  const data = JSON.parse(store.textContent);
  const tip = document.getElementById("tip");
  const spoken = document.getElementById("spoken");
  const plots = [...document.querySelectorAll("[data-series]")];
  const swatches = [...document.querySelectorAll(".shares tbody th")].map((cell) => ({
    name: cell.textContent, colour: cell.querySelector(".swatch").style.background,
  }));
  const crosses = new Map();
  let place = 0;

  const clock = (time) => {
    const digits = data.end < 60 ? 1 : 0;
    const whole = Math.floor(time);
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const pad = (n) => String(n).padStart(2, "0");
    const tail = digits ? "." + Math.floor((time - whole) * 10 + 1e-6) : "";
    return (h ? h + ":" + pad(m) : m) + ":" + pad(s) + tail;
  };
  const percent = (thousandths) =>
    (thousandths && thousandths < 10 ? (thousandths / 10).toFixed(1) : Math.round(thousandths / 10)) + "\u00a0%";

  // The last bin that begins at or before `time` and has not ended, or -1.
  const find = (time) => {
    let low = 0, high = data.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.starts[middle] <= time) low = middle + 1; else high = middle;
    }
    return low > 0 && time <= data.ends[low - 1] ? low - 1 : -1;
  };

  const line = (label, value, colour) => {
    const row = document.createElement("div");
    if (colour) {
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colour;
      row.append(swatch);
    }
    const number = document.createElement("b");
    number.textContent = value;
    row.append(label, number);
    return row;
  };

  const show = (plot, time, isSpoken) => {
    const key = plot.dataset.series, bin = find(time);
    const values = bin < 0 ? null : data.values[key][bin];
    const head = document.createElement("p");
    head.textContent = clock(time);
    tip.replaceChildren(head);
    if (bin < 0) tip.append("not analysed");
    else if (!values) tip.append(key === "all" ? "no face found" : "not seen");
    else {
      swatches.forEach((s, i) => tip.append(line(s.name, percent(values[i]), s.colour)));
      if (key === "all") tip.append(line("faces", data.faces[bin]));
    }
    tip.hidden = false;
    for (const other of plots) cross(other, time);
    const box = plot.getBoundingClientRect();
    const x = box.left + (box.width * time) / data.end;
    const left = x + 16 + tip.offsetWidth < innerWidth ? x + 16 : x - 16 - tip.offsetWidth;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, Math.min(box.top, innerHeight - tip.offsetHeight - 4)) + "px";
    if (isSpoken) spoken.textContent = [...tip.children].map((row) => row.textContent).join(", ");
  };
  const cross = (plot, time) => {
    let bar = crosses.get(plot);
    if (!bar) {
      bar = document.createElement("span");
      bar.className = "cross";
      plot.append(bar);
      crosses.set(plot, bar);
    }
    bar.style.left = (100 * time) / data.end + "%";
    bar.hidden = false;
  };
  const hide = () => {
    tip.hidden = true;
    crosses.forEach((bar) => { bar.hidden = true; });
  };

  for (const plot of plots) {
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      place = data.end * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      show(plot, place, false);
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: 0.1, PageUp: -0.1 };
      if (event.key === "Escape") return hide();
      if (!(event.key in steps)) return;
      event.preventDefault();
      place = Math.min(Math.max(place + data.end * steps[event.key], 0), data.end);
      show(plot, place, true);
    });
  }
})();
