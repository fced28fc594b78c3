// Smoothing over each person's time: an exponential moving average with steps of any length.
export class Smoother {
  constructor(seconds, maxGap) {
    this.seconds = seconds;
    this.maxGap = maxGap;
    this.people = new Map();
  }

  update(trackId, probabilities, time) {
    for (const [id, { time: last }] of this.people) {
      if (time - last > this.maxGap * this.seconds) this.people.delete(id);
    }
    const last = this.people.get(trackId);
    let values = [...probabilities];
    if (last && time >= last.time && time - last.time <= this.maxGap * this.seconds) {
      const gain = -Math.expm1(-(time - last.time) / this.seconds);
      values = values.map((p, i) => last.values[i] + gain * (p - last.values[i]));
    }
    this.people.set(trackId, { time, values });
    return values;
  }
}
