//! A reply whose rows are not all as wide: most of them are believed.

use std::collections::HashMap;

use super::Reply;

impl Reply {
    /// Takes the rows out that have another width than most. Until here `width` is that of the first row, and `data` has
    /// all but the nulls.
    pub(super) fn keep_most(&mut self) {
        let mut counts = HashMap::from([(self.width, self.rows - self.nulls.len() - self.others.len())]);
        for (_, width) in &self.others {
            *counts.entry(*width).or_default() += 1;
        }
        let first = self.width;
        let most = counts.into_iter().max_by_key(|(width, count)| (*count, *width == first, *width));
        self.width = most.map_or(first, |(width, _)| width);
        let mut nulls = self.nulls.iter().peekable();
        let mut widths = std::mem::take(&mut self.others).into_iter().peekable();
        let (mut from, mut to) = (0, 0);
        for row in (0..).take(self.rows) {
            if nulls.next_if_eq(&&row).is_some() {
                continue;
            }
            let width = widths.next_if(|(other, _)| *other == row).map_or(first, |(_, width)| width);
            if width == self.width {
                self.data.copy_within(from..from + width, to);
                to += width;
            } else {
                self.others.push((row, width));
            }
            from += width;
        }
        self.data.truncate(to);
    }
}
