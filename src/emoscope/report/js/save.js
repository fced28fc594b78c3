// @ts-check
// Saving a figure, which is whatever has a data-title: as it stands, at one width and in light colours, with its title,
// legend and source, as SVG or PNG; its numbers as CSV.
const SAVED_PX = 960, PAD = 24, SHARPNESS = 2;
const FONT = 'font-family="Helvetica, Arial, sans-serif"';
const main = document.querySelector("main");
const NAMESPACE = document.querySelector("svg").namespaceURI;
const KEPT = "d x y width height x1 x2 y1 y2 cx cy r points transform viewBox preserveAspectRatio vector-effect".split(" ");

const escapeXml = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const px = (value) => Number(value.toFixed(2));
// A computed colour as any program reads it, and its opacity.
const readPaint = (text) => {
  const [r, g, b, opacity = 1] = (text.match(/-?[\d.]+(e-?\d+)?/g) || []).map(Number);
  if (b === undefined || !opacity) return null;
  const colour = text.startsWith("color(") ? [r, g, b].map((v) => px(100 * v) + "%") : [r, g, b];
  return { colour: `rgb(${colour.join(",")})`, opacity };
};
const writePaint = (name, text) => {
  if (text.startsWith("url")) return `${name}="url(#hatch)"`;
  const paint = readPaint(text);
  return paint ? `${name}="${paint.colour}"${paint.opacity < 1 ? ` ${name}-opacity="${paint.opacity}"` : ""}` : `${name}="none"`;
};
const drawBox = (box, origin, text) => {
  if (!readPaint(text) || !box.width || !box.height) return "";
  const place = `x="${px(box.left - origin.left)}" y="${px(box.top - origin.top)}"`;
  return `<rect ${place} width="${px(box.width)}" height="${px(box.height)}" ${writePaint("fill", text)}/>`;
};
const drawBorders = (box, style, origin) => ["Top", "Bottom", "Left", "Right"].map((side) => {
  const width = style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]);
  const isFlat = side === "Top" || side === "Bottom";
  const left = side === "Right" ? box.right - width : box.left, top = side === "Bottom" ? box.bottom - width : box.top;
  const edge = { left, top, width: isFlat ? box.width : width, height: isFlat ? width : box.height };
  return width ? drawBox(edge, origin, style[`border${side}Color`]) : "";
}).join("");

// Words in lines as the page broke them.
const drawText = (node, origin) => {
  const style = getComputedStyle(node.parentElement), range = document.createRange();
  const isEnd = ["right", "end"].includes(style.textAlign);
  /** @type {{box: DOMRect, right: number, words: string[]}[]} */
  const lines = [];
  for (const { 0: word, index } of node.data.matchAll(/[^ \n\t]+/g)) {
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const box = range.getBoundingClientRect(), line = lines.at(-1);
    if (!box.width) continue;
    if (!line || Math.abs(line.box.top - box.top) > 2) lines.push({ box, right: box.right, words: [word] });
    else { line.words.push(word); line.right = box.right; }
  }
  return lines.map(({ box, right, words }) => {
    const x = px((isEnd ? right : box.left) - origin.left), y = px(box.top + 0.8 * box.height - origin.top);
    const weight = Number(style.fontWeight) > 550 ? ' font-weight="bold"' : "";
    const size = `font-size="${px(parseFloat(style.fontSize))}"${weight}${isEnd ? ' text-anchor="end"' : ""}`;
    return `<text x="${x}" y="${y}" ${size} ${writePaint("fill", style.color)}>${escapeXml(words.join(" "))}</text>`;
  }).join("");
};
const drawShape = (shape) => {
  const style = getComputedStyle(shape), tag = shape.localName;
  if (style.display === "none" || (tag === "path" && !shape.getAttribute("d"))) return "";
  const kept = KEPT.filter((name) => shape.hasAttribute(name)).map((name) => `${name}="${escapeXml(shape.getAttribute(name))}"`);
  const paints = tag === "g" ? [] : [writePaint("fill", style.fill), writePaint("stroke", style.stroke)];
  for (const name of ["fill-opacity", "opacity"]) {
    if (style.getPropertyValue(name) !== "1") paints.push(`${name}="${style.getPropertyValue(name)}"`);
  }
  if (style.stroke !== "none") paints.push(`stroke-width="${parseFloat(style.strokeWidth)}"`);
  if (style.vectorEffect !== "none") paints.push(`vector-effect="${style.vectorEffect}"`);
  if (tag === "text") paints.push(`text-anchor="${style.textAnchor}" font-size="${parseFloat(style.fontSize)}"`);
  const inner = tag === "text" ? escapeXml(shape.textContent) : [...shape.children].map(drawShape).join("");
  return `<${tag} ${[...kept, ...paints].join(" ")}>${inner}</${tag}>`;
};
const drawInside = (element, origin) => {
  if (!(element instanceof SVGSVGElement)) {
    const parts = [...element.childNodes].map((node) => (node instanceof Text ? drawText(node, origin) : draw(node, origin)));
    return parts.join("");
  }
  return [...element.children].map(drawShape).join("");
};
const isLeftOut = (element, box) => element.matches(".hidden, .cross, .chosen, .unsaved, img") || (!box.width && !box.height);
const draw = (element, origin) => {
  if (!(element instanceof Element)) return "";
  const box = element.getBoundingClientRect(), style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden" || isLeftOut(element, box)) return "";
  const [left, top] = [px(box.left - origin.left), px(box.top - origin.top)];
  if (element.matches(".mark")) {
    return `<path d="M${left} ${top}h${px(box.width)}l${px(-box.width / 2)} ${px(box.height)}z" ${writePaint("fill", style.backgroundColor)}/>`;
  }
  // Of hatching its ground is kept.
  const ground = style.backgroundImage.startsWith("repeating") ? style.backgroundImage.match(/(rgba?|color)\([^)]*\)/)[0] : style.backgroundColor;
  const under = drawBox(box, origin, ground) + drawBorders(box, style, origin);
  const isSvg = element instanceof SVGSVGElement;
  if (!isSvg && style.overflowX !== "hidden") return under + drawInside(element, origin);
  const view = isSvg && element.hasAttribute("viewBox")
    ? ` viewBox="${element.getAttribute("viewBox")}" preserveAspectRatio="${element.getAttribute("preserveAspectRatio") || "xMidYMid"}"` : "";
  const clip = style.overflowX === "visible" ? ' overflow="visible"' : "";
  const size = `x="${left}" y="${top}" width="${px(box.width)}" height="${px(box.height)}"`;
  return `${under}<svg ${size}${view}${clip}>${drawInside(element, box)}</svg>`;
};

const drawLegend = (figure, y) => {
  const legend = figure.querySelector('[data-draw="stack"]') && document.querySelector(".legend[data-pick]");
  if (!legend) return "";
  let x = PAD;
  return [...legend.querySelectorAll("li:not(.unpicked, .save)")].map((item) => {
    const name = item.querySelector(".name").textContent;
    const paint = writePaint("fill", getComputedStyle(item.querySelector(".swatch")).backgroundColor);
    const text = `<rect x="${x}" y="${y - 10}" width="11" height="11" ${paint}/><text x="${x + 16}" y="${y}" font-size="13">${escapeXml(name)}</text>`;
    x += 36 + 7.5 * name.length;
    return text;
  }).join("");
};
const titleOf = (figure) => {
  const part = figure.querySelector(".axis") && root.classList.contains("is-zoomed") ? document.getElementById("window").textContent : "";
  return { name: figure.dataset.title, part };
};
const createSvg = (figure) => {
  const style = figure.getAttribute("style");
  root.classList.add("is-light");
  figure.style.width = SAVED_PX - 2 * PAD + "px";
  // Widths and colours are read before the page is painted again: nobody sees it change.
  const box = figure.getBoundingClientRect(), top = PAD + 34, { name, part } = titleOf(figure);
  const content = draw(figure, { left: box.left - PAD, top: box.top - top });
  let y = top + box.height + 28;
  const legend = drawLegend(figure, y);
  if (legend) y += 28;
  const mark = getComputedStyle(root).getPropertyValue("--mark"), soft = getComputedStyle(root).getPropertyValue("--soft");
  root.classList.remove("is-light");
  if (style === null) figure.removeAttribute("style"); else figure.setAttribute("style", style);
  const notes = [figure.dataset.note, main.dataset.source].filter(Boolean).map((text, i) => {
    return `<text x="${PAD}" y="${y + 16 * i}" font-size="11" fill="${soft}">${escapeXml(text)}</text>`;
  });
  const height = Math.ceil(y + 16 * notes.length + PAD / 2);
  return `<svg xmlns="${NAMESPACE}" width="${SAVED_PX}" height="${height}" viewBox="0 0 ${SAVED_PX} ${height}" ${FONT}>
<title>${escapeXml(name)}</title><defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2.2" height="6" fill="${mark}"/></pattern></defs>
<rect width="100%" height="100%" fill="white"/>
<text x="${PAD}" y="${PAD + 14}" font-size="18" font-weight="bold">${escapeXml(name)}</text><text x="${SAVED_PX - PAD}" y="${PAD + 14}" font-size="13" text-anchor="end" fill="${soft}">${escapeXml(part)}</text>
${content}${legend}
${notes.join("\n")}
</svg>
`;
};
const savePng = (figure, name) => {
  const image = new Image(), canvas = create("canvas");
  image.onload = () => {
    Object.assign(canvas, { width: SHARPNESS * image.width, height: SHARPNESS * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => download(name, blob));
  };
  image.src = "data:image/svg+xml," + encodeURIComponent(createSvg(figure));
};
const clean = (text) => text.replace(/\s+/g, " ").trim().replace(/^\u2212(?=[\d.]+$)/, "-").replace(/^\+(?=\d)/, "");
// A table's cells: what stands small in one, a range or a time, gets a column of its own; drawings get none.
const listCells = (table) => {
  const rows = [...table.rows].map((row) => [...row.cells].flatMap((cell) => [cell, ...Array(cell.colSpan - 1).fill(null)]));
  const [head, ...body] = table.tHead.rows.length > 1 ? rows.slice(table.tHead.rows.length - 1) : rows;
  const split = (cell) => {
    const small = cell?.querySelector("small")?.textContent || "";
    return [clean(cell ? cell.textContent.replace(small, "") : ""), clean(small)];
  };
  const columns = body[0].flatMap((_, i) => {
    const cells = body.map((row) => split(row[i])), own = head[i] && split(head[i])[0];
    const name = own || head.slice(0, i).map((cell) => split(cell)[0]).filter(Boolean).at(-1) || "";
    return [0, 1].map((part) => [part ? name + ", detail" : name, ...cells.map((cell) => cell[part])]);
  }).filter(([, ...cells]) => cells.some(Boolean));
  return columns[0].map((_, i) => columns.map((column) => column[i]));
};

/** @type {Record<string, (figure: any, name: string) => void>} */
const SAVERS = {
  PNG: (figure, name) => savePng(figure, name + ".png"),
  SVG: (figure, name) => download(name + ".svg", new Blob([createSvg(figure)], { type: "image/svg+xml" })),
  CSV: (figure, name) => {
    const rows = figure.localName === "table" ? listCells(figure) : listBins(figure);
    download(name + ".csv", new Blob([writeCsv(rows)], { type: "text/csv" }));
  },
};
const nameFile = (figure) =>
  `${main.dataset.name} ${figure.dataset.title}`.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
for (const figure of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-title]"))) {
  const legend = figure.previousElementSibling?.matches(".legend") && figure.previousElementSibling;
  const bar = create(legend ? "li" : "div", "save unsaved", "Save as ", ...Object.keys(SAVERS).map((kind) => {
    const button = createButton(kind, () => SAVERS[kind](figure, nameFile(figure)));
    button.setAttribute("aria-label", `Save as ${kind}: ${figure.dataset.title}`);
    return button;
  }));
  if (legend) legend.append(bar); else (figure.closest(".scroll") || figure).after(bar);
}
