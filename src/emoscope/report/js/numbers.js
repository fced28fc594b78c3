// @ts-check
// Numbers as core/numbers.py prints them, by the words and limits that come from there.
/**
 * @typedef {{little: string, least: string, nearly: string, unit: string, full: number, minus: string}} NumberRule
 * @param {NumberRule} rule
 */
const createNumbers = (rule) => {
  const round = (value) => {
    const near = Math.round(value);
    return near - value === 0.5 && near % 2 ? near - 1 : near;
  };
  const sign = (value, text) => (Number(text) === 0 ? "" : value > 0 ? "+" : rule.minus) + text;
  const percent = (fraction) => {
    const whole = round(100 * fraction);
    if (fraction > 0 && whole === 0) return rule.little;
    return whole === 100 && fraction < rule.full ? rule.nearly : whole + rule.unit;
  };
  // With one decimal below 1 %.
  const share = (fraction) => {
    if (fraction <= 0 || fraction >= 0.0095) return percent(fraction);
    const text = (100 * fraction).toFixed(1);
    return Number(text) === 0 ? rule.least : text + rule.unit;
  };
  return {
    percent,
    share,
    signed: (value) => sign(value, Math.abs(value).toFixed(2)),
    points: (change) => sign(change, String(round(100 * Math.abs(change)))),
  };
};
