//! The matrix and every verdict as one page that needs nothing else: light and dark, and readable on a phone.

use std::fmt::Write as _;

use super::words;
use crate::judge::{Outcome, Verdict};
use crate::matrix::{Cell, Matrix};

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1f24; --soft: #59636e; --line: #d0d7de; --ground: #fff; --panel: #f6f8fa;
  --good: #1a7f37; --fair: #7d5900; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9198a1; --line: #30363d; --ground: #0d1117;
  --panel: #161b22; --good: #4ac26b; --fair: #d4a72c; --bad: #ff7b72; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground); max-width: 68rem;
  margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } p { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
tr.all td, tr.all th { border-top: 2px solid var(--line); font-weight: 600; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .75rem 0; padding: .5rem .75rem;
  background: var(--panel); }
summary { cursor: pointer; font-weight: 600; }
.case { border-top: 1px solid var(--line); padding: .5rem 0; } .case h3 { font-size: 1rem; margin: 0; }
.case div { margin-left: .75rem; overflow-wrap: anywhere; color: var(--soft); font-size: .9rem; }
.contained { color: var(--good); } .refused { color: var(--fair); } .not_contained, .unclear { color: var(--bad); }
.deviates { background: var(--bad); color: var(--ground); border-radius: .25rem; padding: 0 .3rem; }
";

/// The page.
pub fn html(matrix: &Matrix, verdicts: &[Verdict]) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let _ = write!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Isolation</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Isolation</h1>\n<p>What hostile or careless code comes to, by \
         execution mode. Each case runs beside another tenant's job whose answers must stay right, between honest work \
         of its own job, and is judged from the host.</p>\n<div class=\"wide\">\n<table>\n<tr><th>group</th>"
    );
    for mode in &matrix.modes {
        let _ = write!(out, "<th>{mode}</th>");
    }
    out.push_str("</tr>\n");
    for (name, cells) in &matrix.groups {
        row(&mut out, "", name, cells);
    }
    row(&mut out, " class=\"all\"", "all", &matrix.total);
    out.push_str("</table>\n</div>\n");
    for (name, _) in &matrix.groups {
        group(&mut out, name, verdicts);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn row(out: &mut String, class: &str, name: &str, cells: &[Cell]) {
    let _ = write!(out, "<tr{class}><th>{}</th>", escaped(name));
    for cell in cells {
        let class = match cell {
            Cell { not_contained: 1.., .. } | Cell { unclear: 1.., .. } => "not_contained",
            Cell { refused: 1.., .. } => "refused",
            _ => "contained",
        };
        let deviating = match cell.deviating {
            0 => String::new(),
            count => format!(" <span class=\"deviates\">{count} not as expected</span>"),
        };
        let _ = write!(out, "<td><span class=\"{class}\">{}</span>{deviating}</td>", words(cell));
    }
    out.push_str("</tr>\n");
}

fn group(out: &mut String, name: &str, verdicts: &[Verdict]) {
    let own: Vec<_> = verdicts.iter().filter(|verdict| verdict.group == name).collect();
    let open = if own.iter().any(|verdict| !verdict.as_expected) { " open" } else { "" };
    let _ = writeln!(out, "<details{open}>\n<summary>{}</summary>", escaped(name));
    let mut case = "";
    for verdict in own {
        if verdict.name != case {
            if !case.is_empty() {
                out.push_str("</div>\n");
            }
            case = &verdict.name;
            let _ = writeln!(out, "<div class=\"case\"><h3>{}</h3>", escaped(case));
        }
        let class = match verdict.outcome {
            Outcome::Contained => "contained",
            Outcome::Refused => "refused",
            Outcome::NotContained => "not_contained",
            Outcome::Unclear => "unclear",
        };
        let (mode, outcome, seen) = (verdict.mode, verdict.outcome, escaped(&verdict.seen));
        let _ = write!(out, "<div><b>{mode}</b>: <span class=\"{class}\">{outcome}</span>: {seen}");
        if !verdict.as_expected {
            let _ = write!(out, " <span class=\"deviates\">expected {}</span>", escaped(&verdict.expected));
        }
        out.push_str("</div>\n");
    }
    out.push_str("</div>\n</details>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn what_hostile_code_says_is_text() {
        let verdict = Verdict {
            group: "<g>".into(),
            name: "<script>".into(),
            mode: Place::Wasm,
            outcome: Outcome::Contained,
            seen: "user: <img src='x' onerror=\"alert(1)\">".into(),
            expected: String::new(),
            as_expected: true,
            milliseconds: 1,
        };
        let page = html(&Matrix::new(std::slice::from_ref(&verdict)), &[verdict]);
        assert!(!page.contains("<script") && !page.contains("<img") && page.contains("&lt;script&gt;"), "{page}");
        assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    }
}
