package strict

import (
	"bytes"
	"fmt"
)

// MaxColumns bounds the cells of a row.
const MaxColumns = 200

// Rows calls f with the cells of each row, in RFC 4180's form: quotes are taken
// off in place, what is quoted stays byte for byte, and a quote anywhere else is
// refused instead of guessed at. The slice is used again.
func Rows(data []byte, f func(line int, cells [][]byte) error) error {
	var cells [][]byte
	line, start := 1, 1
	for pos := 0; pos < len(data); {
		if len(cells) == 0 {
			start = line
		}
		text, next, newlines, why := readCell(data, pos)
		if why != "" {
			return Error(fmt.Sprintf("line %d: %s", line, why))
		}
		line += newlines
		if cells = append(cells, text); len(cells) > MaxColumns {
			return Error(fmt.Sprintf("line %d has more than %d columns", start, MaxColumns))
		}
		pos = next
		if pos < len(data) && data[pos] == ',' {
			if pos++; pos < len(data) {
				continue
			}
			cells = append(cells, nil) // the comma was the last byte
		}
		if pos < len(data) && data[pos] == '\r' {
			pos++
		}
		pos++ // the line feed
		line++
		if len(cells) > 1 || len(cells[0]) > 0 {
			if err := f(start, cells); err != nil {
				return err
			}
		}
		cells = cells[:0]
	}
	return nil
}

// readCell reads the cell at pos. It returns its text, where the comma or line
// end behind it is, and the line feeds inside; or why it is none.
func readCell(data []byte, pos int) (text []byte, next, newlines int, why string) {
	if data[pos] != '"' {
		next = pos
		for next < len(data) && data[next] != ',' && data[next] != '\n' {
			if data[next] == '"' {
				return nil, 0, 0, "a quote within a cell that is not quoted"
			}
			next++
		}
		if next > pos && data[next-1] == '\r' && (next == len(data) || data[next] == '\n') {
			next--
		}
		return data[pos:next:next], next, 0, ""
	}
	out := pos
	for next = pos + 1; next < len(data); next++ {
		c := data[next]
		if c == '\n' {
			newlines++
		}
		if c != '"' {
			data[out] = c
			out++
			continue
		}
		if next+1 < len(data) && data[next+1] == '"' {
			next++
			data[out] = '"'
			out++
			continue
		}
		next++
		rest := data[next:]
		if len(rest) > 0 && rest[0] != ',' && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) && !bytes.Equal(rest, []byte("\r")) {
			return nil, 0, 0, "text behind a closing quote"
		}
		return data[pos:out:out], next, newlines, ""
	}
	return nil, 0, 0, "a quote that is never closed"
}
