"use strict";
// Tables as CSV, LaTeX and Markdown: saved as a file or copied, from what the page shows; nothing leaves the page.

{
  const spaces = (text) => text.replace(/[\s\u00a0]+/gu, " ").trim();
  const NUMBER = /^[+\-\u2212]?[\d.,]+%?$/u;
  // A spreadsheet must not take what people wrote for a formula; numbers with a sign stay numbers.
  const guarded = (text) => (/^'*[=+\-@\t\r]/u.test(text) && !NUMBER.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\n\r]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const BOUNDS = /^\[([^\[\],]+), ([^\[\],]+)\]$/u;

  // A figure and its interval become three columns, so that each cell holds one number.
  const csv = ({ head, rows }) => {
    const split = head.map((_, i) => rows.length && rows.every(({ [i]: cell }) => !cell.interval || BOUNDS.test(cell.interval))
      && rows.some(({ [i]: cell }) => cell.interval));
    const line = (cells) => cells.map((cell) => quoted(guarded(cell))).join(",");
    const names = head.flatMap((name, i) => (split[i] ? [name, `${name}, low`, `${name}, high`] : [name]));
    const plain = (cell, i) => {
      if (!split[i]) return [spaces(`${cell.value} ${cell.interval}`)];
      const bounds = BOUNDS.exec(cell.interval);
      const unit = cell.value.endsWith("%") ? "%" : "";
      return [cell.value, ...(bounds ? [bounds[1] + unit, bounds[2] + unit] : ["", ""])];
    };
    return [names, ...rows.map((row) => row.flatMap(plain))].map(line).join("\r\n") + "\r\n";
  };
  const LATEX = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", $: "\\$", "#": "\\#", _: "\\_", "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "\u2212": "$-$", "→": "$\\to$", "≥": "$\\geq$",
    "[": "{[}", "]": "{]}",
  };
  const tex = (text) => [...text].map((letter) => LATEX[letter] ?? letter).join("");
  const latex = ({ head, rows, right }) => {
    const line = (cells) => `  ${cells.map(tex).join(" & ")} \\\\`;
    const whole = rows.map((row) => row.map((cell) => spaces(`${cell.value} ${cell.interval}`)));
    return ["% \\usepackage{booktabs}", `\\begin{tabular}{${right.map((flush) => (flush ? "r" : "l")).join("")}}`, "  \\toprule", line(head),
      "  \\midrule", ...whole.map(line), "  \\bottomrule", "\\end{tabular}", ""].join("\n");
  };
  const marked = (text) => text.replace(/[\\`*_[\]~|!#<>&]/gu, (letter) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[letter] ?? `\\${letter}`);
  const markdown = ({ head, rows, right }) => {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    return [line(head.map(marked)), line(right.map((flush) => (flush ? "---:" : "---"))),
      ...rows.map((row) => line(row.map((cell) => marked(spaces(`${cell.value} ${cell.interval}`))))), ""].join("\n");
  };
  const FORMS = { CSV: csv, LaTeX: latex, Markdown: markdown };

  // All rows and columns of a table, also those that are filtered out or gave way.
  const read = (table) => {
    const cell = (td) => {
      const interval = td.querySelector(".ci");
      const text = spaces(td.textContent);
      return interval ? { value: spaces(td.textContent.replace(interval.textContent, "")), interval: spaces(interval.textContent) } : { value: text, interval: "" };
    };
    const heads = [...table.tHead.rows[0].cells];
    return {
      head: heads.map((th) => spaces(th.textContent)), rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map(cell)),
      right: heads.map((th) => th.matches(".number, [style*=right]")),
    };
  };
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // older browsers, and those that allow it to pages of servers only
      const area = Kis.make("textarea", { readonly: true });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  const saved = (text, name) => {
    const link = Kis.make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  // Buttons for a table; `content` gives what they write, in the form of `read`.
  Kis.saving = (label, table, content = () => read(table)) => {
    const status = Kis.make("span", { role: "status" });
    const name = label.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/gu, "").slice(0, 60) || "table";
    const button = (form) => Kis.make("button", {
      type: "button", "aria-label": `${form === "CSV" ? "Save" : "Copy"} ${label} as ${form}`, click: async ({ currentTarget }) => {
        const text = FORMS[form](content());
        if (form === "CSV" || !await copied(text)) {
          saved(text, `${name}.${{ CSV: "csv", LaTeX: "tex", Markdown: "md" }[form]}`);
          status.textContent = "saved";
        } else status.textContent = "copied";
        currentTarget?.focus();
      },
    }, form);
    return Kis.make("div", { class: "saving" }, ...Object.keys(FORMS).map(button), status);
  };
  Kis.forms = FORMS;
}
