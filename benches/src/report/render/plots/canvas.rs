//! The drawing surface: an SVG of fixed size whose colours are names that the page gives a value, so that one picture
//! fits a light and a dark page.

use anyhow::Result;
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::prelude::{Circle, DrawingArea, IntoDrawingArea, PathElement, Rectangle, ShapeStyle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor};

use crate::report::variant::{Deadline, Mode, Variant};

/// Width of every picture. Narrow: on a phone it is shown at nearly its size, and its texts stay readable.
pub const WIDTH: i32 = 440;

/// Height of a text.
pub const TEXT: i32 = 14;

/// What is drawn, by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Texts.
    Text,
    /// Lines of the grid.
    Grid,
    /// A variant's colour.
    Of(Variant),
}

impl Ink {
    /// The number of the role in the stand-in colour.
    fn number(self) -> u8 {
        match self {
            Ink::Text => 0,
            Ink::Grid => 1,
            Ink::Of(variant) => 2 + colour(variant),
        }
    }

    /// A colour that no picture has otherwise; it is replaced by the role's name when the picture is done.
    fn stand_in(self) -> RGBColor {
        RGBColor(1, 254, self.number())
    }
}

/// A variant without a deadline has the colour of its mode.
fn colour(variant: Variant) -> u8 {
    match variant {
        Variant::Native => 0,
        Variant::Bare => 1,
        Variant::Mode(Mode::Thread, _) => 2,
        Variant::Mode(Mode::Wasm, _) => 3,
        Variant::Mode(Mode::Process, _) => 4,
        Variant::FlinkThread => 5,
        Variant::FlinkProcess => 6,
        Variant::Eryx => 7,
        Variant::Mode(Mode::WasmWorker, _) => 8,
        // The next mode takes the next number, and a line of `COLOURS`.
    }
}

/// The colours of all roles, light and dark: told apart by most colour-blind people, with a contrast above 3 to the
/// page. After Okabe and Ito.
const COLOURS: [(&str, &str); 11] = [
    ("#24292f", "#d5dae0"),
    ("#d5dae0", "#3a4048"),
    ("#6e7781", "#9aa4af"),
    ("#24292f", "#e8ecf0"),
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8c42"),
    ("#007f5f", "#2ec79b"),
    ("#7a5fb5", "#b39ddb"),
    ("#b0307f", "#f08cc8"),
    ("#8a6d00", "#e6c229"),
    ("#9c4a1a", "#e8a57c"),
];

/// The values of the colours as CSS, for a light and for a dark page.
pub fn css() -> String {
    let values = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
        let one = |(at, pair)| format!("--ink{at}:{};", pick(pair));
        COLOURS.iter().enumerate().map(one).collect::<String>()
    };
    format!(":root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}", values(|pair| pair.0), values(|pair| pair.1))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture that is being drawn; all places are in pixels from its upper left corner.
pub struct Canvas<'a>(Area<'a>);

impl Canvas<'_> {
    /// A line along `points`.
    pub fn line(&self, ink: Ink, width: u32, points: Vec<(i32, i32)>) -> Result<()> {
        self.draw(&PathElement::new(points, ink.stand_in().stroke_width(width)))
    }

    /// A mark: filled, or a ring for variants without a deadline.
    pub fn mark(&self, variant: Variant, at: (i32, i32)) -> Result<()> {
        let colour = Ink::Of(variant).stand_in();
        let style: ShapeStyle = match variant {
            Variant::Mode(_, Deadline::Off) => colour.stroke_width(2),
            _ => colour.filled(),
        };
        if variant.is_peer() {
            return self.draw(&Rectangle::new([(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)], style));
        }
        self.draw(&Circle::new(at, 5, style))
    }

    /// A text whose `side` is at a place.
    pub fn text(&self, text: &str, at: (i32, i32), side: HPos) -> Result<()> {
        let style = ("sans-serif", TEXT).into_font().color(&Ink::Text.stand_in()).pos(Pos::new(side, VPos::Center));
        self.draw(&Text::new(text.to_owned(), at, style))
    }

    fn draw<'e, E>(&self, element: &'e E) -> Result<()>
    where
        &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
        for<'b> E: plotters::element::Drawable<SVGBackend<'b>>,
    {
        self.0.draw(element).map_err(|error| anyhow::anyhow!("drawing: {error}"))
    }
}

/// A picture of this height, drawn by `draw`, as SVG.
///
/// # Errors
/// Those of `draw`.
pub fn svg(height: i32, draw: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
    let mut out = String::new();
    draw(&Canvas(SVGBackend::with_string(&mut out, (WIDTH as u32, height as u32)).into_drawing_area()))?;
    for number in 0..COLOURS.len() {
        out = out.replace(&format!("\"#01FE{number:02X}\""), &format!("\"var(--ink{number})\""));
    }
    // The page decides how wide it is.
    Ok(out.replacen(&format!("width=\"{WIDTH}\" height=\"{height}\" "), "", 1))
}

/// A picture of its own: with its colours, for a file.
pub fn alone(svg: &str) -> String {
    svg.replacen('>', &format!("><style>{}</style>", css()), 1)
}

/// Names of variants in the order of the tables, as many in a line as fit. Gives the height.
///
/// # Errors
/// When drawing fails.
pub fn legend(canvas: Option<&Canvas<'_>>, variants: &[Variant]) -> Result<i32> {
    const LINE: i32 = 20;
    let (mut x, mut y) = (12, LINE / 2 + 2);
    for variant in variants {
        let width = 30 + variant.name().chars().count() as i32 * 7;
        if x + width > WIDTH {
            (x, y) = (12, y + LINE);
        }
        if let Some(canvas) = canvas {
            canvas.mark(*variant, (x, y))?;
            canvas.text(variant.name(), (x + 10, y), HPos::Left)?;
        }
        x += width;
    }
    Ok(y + LINE)
}
