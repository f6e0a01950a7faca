//! The page as one HTML file that needs nothing else: no script, no font, no address.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::cell::Cell;
use super::page::{Block, Figure, Page, Section, Table};
use super::plots;

/// The whole page.
pub fn render(page: &Page) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                style { (PreEscaped(plots::css())) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (page.title) }
                    @for line in &page.lead { p { (line) } }
                    @for line in &page.warnings { p.warning { (line) } }
                    nav { ul { @for section in &page.sections { li { a href=(format!("#{}", id(section))) { (section.title) } } } } }
                }
                main { @for section in &page.sections { (self::section(section)) } }
            }
        }
    }
    .into_string()
}

fn id(section: &Section) -> String {
    let dash = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    section.title.chars().map(dash).collect()
}

fn section(section: &Section) -> Markup {
    html! {
        section id=(id(section)) {
            h2 { (section.title) }
            @for block in &section.blocks {
                @match block {
                    Block::Text(text) => p { (inline(text)) },
                    Block::List(points) => ul { @for point in points { li { (inline(point)) } } },
                    Block::Table(table) => (self::table(table)),
                    Block::Figure(figure) => (self::figure(figure)),
                }
            }
        }
    }
}

/// Text in which what stands between backticks is code, as in markdown.
fn inline(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn figure(figure: &Figure) -> Markup {
    html! {
        figure {
            div.picture role="img" aria-label=(figure.caption) { (PreEscaped(&figure.svg)) }
            figcaption { (figure.caption) }
        }
    }
}

fn table(table: &Table) -> Markup {
    html! {
        // A wide table scrolls by itself; the names of its rows stay.
        div.wide tabindex="0" {
            table {
                caption { (table.caption) }
                thead { tr { @for name in &table.head { th scope="col" { (name) } } } }
                tbody {
                    @for (name, cells) in &table.rows {
                        tr { th scope="row" { (name) } @for cell in cells { (self::cell(cell)) } }
                    }
                }
            }
        }
    }
}

fn cell(cell: &Cell) -> Markup {
    html! {
        td {
            (cell.text)
            @if !cell.detail.is_empty() { small { (cell.detail) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_cannot_be_markup() {
        let table = Table {
            caption: "<b>".into(),
            head: vec![String::new(), "a & b".into()],
            rows: vec![("x".into(), vec!["<script>".into()])],
        };
        let page = Page {
            title: "T".into(),
            lead: vec!["l".into()],
            warnings: vec!["w".into()],
            sections: vec![Section {
                title: "In short",
                blocks: vec![Block::Text("a `<b>` c".into()), Block::Table(table)],
            }],
        };
        let text = render(&page);
        assert!(text.contains("&lt;script&gt;") && text.contains("a &amp; b") && !text.contains("<script"), "{text}");
        assert!(text.contains("a <code>&lt;b&gt;</code> c") && text.contains(r#"<p class="warning">w</p>"#), "{text}");
        assert!(text.contains(r##"href="#in-short""##) && text.contains(r#"id="in-short""#), "{text}");
    }
}
