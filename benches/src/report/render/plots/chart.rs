//! The two charts of the report: points over two axes, joined or not; and rows of dots over one axis.

use anyhow::Result;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Canvas, Ink, TEXT, WIDTH};
use super::scale::Scale;
use crate::report::variant::Variant;

/// A value with its spread.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Along the axis that runs to the right.
    pub x: f64,
    /// Along the axis that runs up.
    pub y: f64,
}

/// Points over two axes.
pub struct Plane {
    /// The axis to the right, and its name.
    pub x: (Scale, String),
    /// The axis up, and its name.
    pub y: (Scale, String),
    /// The points of each variant.
    pub series: Vec<(Variant, Vec<Point>)>,
    /// Whether a variant's points are joined.
    pub joined: bool,
}

const LEFT: i32 = 72;
const RIGHT: i32 = WIDTH - 16;
const HEIGHT: i32 = 230;

impl Plane {
    /// The picture.
    ///
    /// # Errors
    /// When drawing fails.
    pub fn svg(&self) -> Result<String> {
        let variants: Vec<Variant> = self.series.iter().map(|(variant, _)| *variant).collect();
        let top = canvas::legend(None, &variants)? + TEXT + 8;
        let bottom = top + HEIGHT;
        canvas::svg(bottom + 46, |canvas| {
            canvas::legend(Some(canvas), &variants)?;
            canvas.text(&self.y.1, (12, top - TEXT), HPos::Left)?;
            canvas.text(&self.x.1, ((LEFT + RIGHT) / 2, bottom + 36), HPos::Center)?;
            let across = |value: f64| LEFT + (self.x.0.place(value) * f64::from(RIGHT - LEFT)).round() as i32;
            let up = |value: f64| bottom - (self.y.0.place(value) * f64::from(HEIGHT)).round() as i32;
            for (value, text) in &self.y.0.ticks {
                canvas.line(Ink::Grid, 1, vec![(LEFT, up(*value)), (RIGHT, up(*value))])?;
                canvas.text(text, (LEFT - 8, up(*value)), HPos::Right)?;
            }
            for (value, text) in &self.x.0.ticks {
                canvas.line(Ink::Grid, 1, vec![(across(*value), top), (across(*value), bottom)])?;
                canvas.text(text, (across(*value), bottom + 14), HPos::Center)?;
            }
            for (variant, points) in &self.series {
                let places: Vec<(i32, i32)> = points.iter().map(|point| (across(point.x), up(point.y))).collect();
                if self.joined {
                    canvas.line(Ink::Of(*variant), 2, places.clone())?;
                }
                places.into_iter().try_for_each(|at| canvas.mark(*variant, at))?;
            }
            Ok(())
        })
    }
}

/// A variant's value, with the low and the high end of its interval.
pub type Dot = (Variant, [f64; 3]);

/// Rows of dots over one axis, with the interval of each.
pub struct Dots {
    /// The axis, and its name.
    pub x: (Scale, String),
    /// A value on which a line stands: what all others are compared with.
    pub line: f64,
    /// The name of each row, and its dots.
    pub rows: Vec<(String, Vec<Dot>)>,
}

impl Dots {
    /// The picture.
    ///
    /// # Errors
    /// When drawing fails.
    pub fn svg(&self) -> Result<String> {
        const ROW: i32 = 26;
        const LEFT: i32 = 104;
        let mut variants: Vec<Variant> =
            self.rows.iter().flat_map(|(_, dots)| dots.iter().map(|(variant, _)| *variant)).collect();
        variants.sort_unstable();
        variants.dedup();
        let top = canvas::legend(None, &variants)? + 6;
        let bottom = top + ROW * self.rows.len() as i32;
        let across = |value: f64| LEFT + (self.x.0.place(value) * f64::from(RIGHT - LEFT)).round() as i32;
        canvas::svg(bottom + 46, |canvas| {
            canvas::legend(Some(canvas), &variants)?;
            canvas.text(&self.x.1, ((LEFT + RIGHT) / 2, bottom + 36), HPos::Center)?;
            for (value, text) in &self.x.0.ticks {
                canvas.line(Ink::Grid, 1, vec![(across(*value), top), (across(*value), bottom)])?;
                canvas.text(text, (across(*value), bottom + 14), HPos::Center)?;
            }
            if self.x.0.holds(self.line) {
                canvas.line(Ink::Text, 1, vec![(across(self.line), top), (across(self.line), bottom)])?;
            }
            for (at, (name, dots)) in self.rows.iter().enumerate() {
                let y = top + ROW * at as i32 + ROW / 2;
                canvas.text(name, (LEFT - 10, y), HPos::Right)?;
                canvas.line(Ink::Grid, 1, vec![(LEFT, y), (RIGHT, y)])?;
                dots.iter().try_for_each(|dot| self.dot(canvas, dot, y, &across))?;
            }
            Ok(())
        })
    }

    fn dot(
        &self,
        canvas: &Canvas<'_>,
        (variant, [value, low, high]): &Dot,
        y: i32,
        across: &dyn Fn(f64) -> i32,
    ) -> Result<()> {
        canvas.line(Ink::Of(*variant), 3, vec![(across(*low), y), (across(*high), y)])?;
        canvas.mark(*variant, (across(*value), y))
    }
}
