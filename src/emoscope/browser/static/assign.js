// Pairs that cost least together: each row and column at most once, none that costs 0 or more.

/** The Hungarian method with potentials, after Kuhn (1955) and Munkres (1957). */
export function assign(costs) {
  const n = costs.length, m = n ? costs[0].length : 0;
  if (!n || !m) return [];
  if (n > m) {
    const turned = Array.from({ length: m }, (_, j) => costs.map((row) => row[j]));
    return assign(turned).map(([j, i]) => [i, j]);
  }
  // A pair not to be made costs what no pair costs: 0.
  const table = costs.map((row) => row.map((cost) => Math.min(cost, 0)));
  const rowPrice = new Array(n).fill(0), columnPrice = new Array(m).fill(0), owner = new Array(m).fill(-1);
  for (let start = 0; start < n; start++) {
    const slack = new Array(m).fill(Infinity), source = new Array(m).fill(-1), done = [];
    const open = new Set(Array(m).keys());
    let row = start, column = -1;
    for (;;) {
      for (const j of open) {
        const cost = table[row][j] - rowPrice[row] - columnPrice[j];
        if (cost < slack[j]) { slack[j] = cost; source[j] = column; }
      }
      let nearest = -1;
      for (const j of open) if (nearest < 0 || slack[j] < slack[nearest]) nearest = j;
      const step = slack[nearest];
      rowPrice[start] += step;
      for (const j of done) { rowPrice[owner[j]] += step; columnPrice[j] -= step; }
      for (const j of open) slack[j] -= step;
      open.delete(nearest);
      done.push(nearest);
      column = nearest;
      row = owner[nearest];
      if (row < 0) break;
    }
    while (column >= 0) {
      const previous = source[column];
      owner[column] = previous >= 0 ? owner[previous] : start;
      column = previous;
    }
  }
  return owner.flatMap((i, j) => (i >= 0 && costs[i][j] < 0 ? [[i, j]] : []));
}
