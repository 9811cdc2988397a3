// What the waiting page says in words; the sentences come from the server, in the reader's language.
const LONGEST_IN_MINUTES = 90;

export class Words {
  constructor(texts, language) {
    this.texts = texts;
    this.numbers = new Intl.NumberFormat(language);
  }

  number(value) {
    return this.numbers.format(value);
  }

  say(name, values = {}) {
    let text = this.texts[name];
    for (const [key, value] of Object.entries(values)) text = text.replace(`#${key}`, String(value));
    return text;
  }

  counted(name, value) {
    return this.say(`${name}_${value === 1 ? "one" : "many"}`, { n: this.number(value) });
  }

  ahead(value) {
    return value === 0 ? this.texts.ahead_none : this.counted("ahead", value);
  }

  // As wait_text in src/tearline/web/gate/standing.py: rounded down at the lower end and up at the upper one.
  wait(ahead, rates) {
    if (!rates || !rates[0] || !rates[1]) return this.texts.wait_unknown;
    const [low, high] = [ahead / rates[1], ahead / rates[0]];
    if (high <= 1) return this.texts.wait_moment;
    if (high <= LONGEST_IN_MINUTES) {
      const [least, most] = [Math.max(1, Math.floor(low)), Math.ceil(high)];
      return least === most ? this.counted("wait_minutes", most) : this.say("wait_range", { low: least, high: most });
    }
    const [least, most] = [Math.max(0.5, Math.floor(low / 30) / 2), Math.ceil(high / 30) / 2];
    if (least === most) return this.say("wait_hours", { n: this.number(most) });
    return this.say("wait_hours_range", { low: this.number(least), high: this.number(most) });
  }
}
