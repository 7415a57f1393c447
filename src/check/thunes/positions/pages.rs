//! The table's rows straight from its pages, in half the time that SQLite takes to step through them.
//!
//! Everything that decides *what* is read stays SQLite's: locks, the snapshot, the write-ahead file. It hands over the
//! pages of that snapshot (`sqlite_dbpage`), level by level from the table's root, and only the rows in them are decoded
//! here, by <https://www.sqlite.org/fileformat2.html>. Whatever is not the plain case (a view, a damaged page, a row with
//! overflow pages, a column added later) is left to SQL.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::tally::{Column, Row};

/// Bytes of the database's header, in which the first page begins.
const HEADER_BYTES: usize = 100;

/// Levels that a table can have; SQLite's own limit.
const MAX_DEPTH: usize = 20;

/// The pages of a list, in its order. A join, since a statement begun anew for each page takes a third longer.
const LISTED: &str = "SELECT page.data FROM json_each(?1) AS wanted CROSS JOIN sqlite_dbpage AS page \
    WHERE page.pgno = wanted.value";

/// All pages from the first: faster by a fifth, where most of them are wanted.
const ALL: &str = "SELECT data FROM sqlite_dbpage";

/// Gives every row of the table `positions` to `each`, in the order of the ids.
///
/// `false` if this is not the plain case: then SQL has to be asked, and what `each` was given is void.
///
/// # Errors
/// The database could not be read: locked, interrupted, damaged.
pub(super) fn rows(connection: &Connection, mut each: impl FnMut(&Record<'_>)) -> rusqlite::Result<bool> {
    let mut all = match connection.prepare(ALL) {
        // This SQLite was built without that table.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => return Ok(false),
        all => all?,
    };
    let mut listed = connection.prepare(LISTED)?;
    let Some((layout, root)) = layout(connection)? else { return Ok(false) };
    let page_count: u32 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let mut reader = Reader { layout, last_id: None, shape: Shape::default() };
    let mut level = vec![root];
    for depth in 0..MAX_DEPTH {
        let is_dense = level.is_sorted() && level.len() > page_count as usize / 2;
        let mut answer = if is_dense { all.query([])? } else { listed.query([list(&level)])? };
        let mut below = Vec::new();
        let mut wanted = level.iter().peekable();
        let mut number = 0;
        while let Some(page) = answer.next()? {
            number += 1;
            if wanted.next_if(|wanted| !is_dense || **wanted == number).is_none() {
                continue;
            }
            let page = page.get_ref(0)?.as_blob().unwrap_or_default();
            if reader.page(page, depth == 0, &mut below, &mut each).is_none() {
                return Ok(false);
            }
        }
        // All leaves are equally deep, and no page has two parents.
        let is_whole = wanted.next().is_none() && (below.is_empty() || reader.last_id.is_none());
        if !is_whole || below.len() > page_count as usize {
            return Ok(false);
        }
        if below.is_empty() {
            return Ok(true);
        }
        level = below;
    }
    Ok(false)
}

/// A list of pages as JSON.
fn list(pages: &[u32]) -> String {
    let mut list = String::with_capacity(pages.len() * 8);
    for page in pages {
        list.push(if list.is_empty() { '[' } else { ',' });
        // Writing to a string cannot fail.
        _ = write!(list, "{page}");
    }
    list.push(']');
    list
}

/// How the table's rows are kept, and where its root is; `None` if they are not kept in the plain way.
fn layout(connection: &Connection) -> rusqlite::Result<Option<(Layout, u32)>> {
    let first_page: Option<Vec<u8>> =
        connection.query_row("SELECT data FROM sqlite_dbpage WHERE pgno = 1", [], |row| row.get(0)).optional()?;
    let table = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'positions' COLLATE NOCASE";
    let root: Option<u32> = connection.query_row(table, [], |row| row.get(0)).optional()?;
    let mut columns = connection.prepare("SELECT name, hidden <> 0, pk <> 0 FROM pragma_table_xinfo('positions')")?;
    let columns = columns
        .query_map([], |row| Ok(Defined { name: row.get(0)?, is_computed: row.get(1)?, is_key: row.get(2)? }))?;
    let columns: Vec<Defined> = columns.collect::<rusqlite::Result<_>>()?;
    Ok(first_page.zip(root).and_then(|(first_page, root)| Some((Layout::new(&first_page, &columns)?, root))))
}

/// A column as the table's definition has it.
struct Defined {
    name: String,
    /// From the others; such a one may not be stored at all.
    is_computed: bool,
    /// The key may be kept in the row's id instead.
    is_key: bool,
}

/// Where a row's columns are.
struct Layout {
    /// Bytes of a page that hold rows; some writers reserve its end.
    usable: usize,
    /// The columns that are read as they are stored, and how many lie before each that are not.
    columns: [(usize, Column); Column::ALL.len()],
}

impl Layout {
    /// The layout of a table with these columns in the database that begins with this page.
    fn new(first_page: &[u8], columns: &[Defined]) -> Option<Layout> {
        let is_utf8 = first_page.get(56..60)? == [0, 0, 0, 1];
        let usable = first_page.len().checked_sub(usize::from(*first_page.get(20)?))?;
        if !is_utf8 || usable < HEADER_BYTES || columns.iter().any(|column| column.is_computed) {
            return None;
        }
        let mut found = columns.iter().enumerate().filter_map(|(place, column)| {
            let is = |wanted: &Column| column.name.eq_ignore_ascii_case(wanted.name());
            Some((place, Column::ALL.into_iter().find(is)?)).filter(|_| !column.is_key)
        });
        let mut next = 0;
        let mut columns = [(0, Column::Status); Column::ALL.len()];
        for column in &mut columns {
            let (place, wanted) = found.next()?;
            *column = (place - next, wanted);
            next = place + 1;
        }
        Some(Layout { usable, columns })
    }
}

/// What the last row's types were. Rows differ in their values, hardly ever in their types: so the next is read by it, too.
#[derive(Default)]
struct Shape {
    /// The record's bytes that tell the types, up to the last column that is read.
    head: Vec<u8>,
    /// In the order of [`Column::ALL`].
    fields: [Field; Column::ALL.len()],
    /// Where the values read end in the record.
    end: usize,
    /// No value follows them.
    is_whole: bool,
}

impl Shape {
    fn holds(&self, record: &[u8]) -> bool {
        !self.head.is_empty() && record.starts_with(&self.head)
    }

    /// Takes on this record's types.
    fn learn(&mut self, layout: &Layout, record: &[u8]) -> Option<()> {
        let (header_bytes, mut at) = varint(record)?;
        let header_bytes = usize::try_from(header_bytes).ok()?;
        let mut begin = header_bytes;
        for (before, column) in layout.columns {
            for skipped in 0..=before {
                // A row shorter than the table is from before a column was added, whose default SQLite knows.
                let (kind, bytes) = varint(record.get(at..header_bytes)?)?;
                let end = begin.checked_add(size_of(kind)?)?;
                if skipped == before {
                    self.fields[column as usize] = Field { kind, begin, end };
                }
                (at, begin) = (at + bytes, end);
            }
        }
        self.head.clear();
        self.head.extend_from_slice(record.get(..at)?);
        self.end = begin;
        self.is_whole = at == header_bytes;
        Some(())
    }
}

/// A column's type, and where its value lies in the record.
#[derive(Clone, Copy, Default)]
struct Field {
    kind: u64,
    begin: usize,
    end: usize,
}

/// A row as it lies in its page.
pub(super) struct Record<'a> {
    id: i64,
    bytes: &'a [u8],
    shape: &'a Shape,
}

impl Row for Record<'_> {
    #[inline]
    fn id(&self) -> i64 {
        self.id
    }

    #[inline]
    fn value(&self, column: Column) -> ValueRef<'_> {
        let Field { kind, begin, end } = self.shape.fields[column as usize];
        let bytes = self.bytes.get(begin..end).unwrap_or_default();
        match kind {
            1..=6 => ValueRef::Integer(integer(bytes)),
            7 => real(bytes).map_or(ValueRef::Null, ValueRef::Real),
            8 => ValueRef::Integer(0),
            9 => ValueRef::Integer(1),
            FIRST_BLOB.. if is_text(kind) => ValueRef::Text(bytes),
            FIRST_BLOB.. => ValueRef::Blob(bytes),
            _ => ValueRef::Null,
        }
    }

    #[inline]
    fn text(&self, column: Column) -> Option<&[u8]> {
        let Field { kind, begin, end } = self.shape.fields[column as usize];
        if is_text(kind) { self.bytes.get(begin..end) } else { None }
    }
}

/// Types from here on are blobs and texts, in turn, each pair a byte longer.
const FIRST_BLOB: u64 = 12;

fn is_text(kind: u64) -> bool {
    kind > FIRST_BLOB && kind % 2 == 1
}

/// The types of a table's pages.
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// Bytes of their headers.
const INTERIOR_HEADER: usize = 12;
const LEAF_HEADER: usize = 8;

/// A row of up to this much less than a page lies in one page.
const MIN_LOCAL_SPARE: usize = 35;

/// Goes from page to page.
struct Reader {
    layout: Layout,
    last_id: Option<i64>,
    shape: Shape,
}

impl Reader {
    /// Gives a leaf's rows to `each`, or adds the children of an interior page to `below`.
    fn page(
        &mut self,
        page: &[u8],
        is_root: bool,
        below: &mut Vec<u32>,
        each: &mut impl FnMut(&Record<'_>),
    ) -> Option<()> {
        let page = page.get(..self.layout.usable)?;
        let kind = *page.first()?;
        let is_empty = page.get(3..5)? == [0, 0];
        match kind {
            // Only a table without rows has an empty page.
            _ if is_empty && !(is_root && kind == LEAF) => None,
            LEAF => cells(page, LEAF_HEADER)?.try_for_each(|cell| self.row(page.get(cell?..)?, each)),
            INTERIOR => {
                for cell in cells(page, INTERIOR_HEADER)? {
                    below.push(u32::from_be_bytes(*page.get(cell?..)?.first_chunk()?));
                }
                below.push(u32::from_be_bytes(*page.get(8..INTERIOR_HEADER)?.first_chunk()?));
                Some(())
            }
            _ => None,
        }
    }

    /// Gives the row in this cell to `each`.
    #[inline]
    fn row(&mut self, cell: &[u8], each: &mut impl FnMut(&Record<'_>)) -> Option<()> {
        let (size, size_bytes) = varint(cell)?;
        let (id, id_bytes) = varint(cell.get(size_bytes..)?)?;
        let id = id.cast_signed();
        let size = usize::try_from(size).ok()?;
        // Ids grow from page to page, too: a page of another place or table shows.
        if size > self.layout.usable - MIN_LOCAL_SPARE || self.last_id.is_some_and(|last| last >= id) {
            return None;
        }
        self.last_id = Some(id);
        let bytes = cell.get(size_bytes + id_bytes..)?.get(..size)?;
        if !self.shape.holds(bytes) {
            self.shape.learn(&self.layout, bytes)?;
        }
        // SQLite takes a record that is longer than its values for damaged.
        let is_sound = if self.shape.is_whole { self.shape.end == size } else { self.shape.end <= size };
        is_sound.then(|| each(&Record { id, bytes, shape: &self.shape }))
    }
}

/// Bytes that a cell takes at least, with the pointer to it.
const MIN_CELL: usize = 6;

/// Where a page's cells begin, the page's own header being `header` bytes long.
fn cells(page: &[u8], header: usize) -> Option<impl Iterator<Item = Option<usize>>> {
    let count = usize::from(u16::from_be_bytes(*page.get(3..5)?.first_chunk()?));
    let pointers = page.get(header..header + 2 * count).filter(|_| count <= page.len() / MIN_CELL)?;
    let content = header + 2 * count;
    Some(pointers.as_chunks().0.iter().map(move |pointer| {
        let cell = usize::from(u16::from_be_bytes(*pointer));
        (cell >= content).then_some(cell)
    }))
}

/// A number of one to nine bytes, and how many it took.
#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((first.into(), 1));
    }
    let mut number = u64::from(first & 0x7f);
    for taken in 1..8 {
        let byte = *bytes.get(taken)?;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, taken + 1));
        }
    }
    Some((number << 8 | u64::from(*bytes.get(8)?), 9))
}

/// Bytes that a value of this type takes.
#[inline]
fn size_of(kind: u64) -> Option<usize> {
    const NUMBERS: [usize; 10] = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];
    let kind = usize::try_from(kind).ok()?;
    match kind.checked_sub(FIRST_BLOB as usize) {
        Some(more) => Some(more / 2),
        // The two missing are reserved, never in a file.
        None => NUMBERS.get(kind).copied(),
    }
}

/// A signed number, the most significant byte first.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

/// A float; SQLite takes one that is no number for NULL.
fn real(bytes: &[u8]) -> Option<f64> {
    bytes.first_chunk().map(|bytes| f64::from_be_bytes(*bytes)).filter(|real| !real.is_nan())
}
