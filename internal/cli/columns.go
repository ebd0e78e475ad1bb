package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// columnPadding is how far columns are apart, as in kubectl; where a screen is narrow they move together.
	columnPadding = 3
	// longWord is how many letters stay together while there is room for it, shortWord how many always do.
	longWord, shortWord = 16, 6
)

// writeColumns lays a table out as kubectl does. Where it is wider than limit its longest cells are broken into several
// lines, so that the screen does not break all of them; 0 is no limit.
func writeColumns(out io.Writer, header []string, rows [][]string, limit int) error {
	lines := rows
	if len(header) > 0 {
		lines = append([][]string{header}, rows...)
	}
	if natural := columnWidths(lines); limit > 0 && total(natural, columnPadding) > limit {
		return writeNarrow(out, lines, natural, limit)
	}
	w := newTable(out)
	for _, line := range lines {
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}

func columnWidths(lines [][]string) []int {
	var widths []int
	for _, line := range lines {
		for i, text := range line {
			if i == len(widths) {
				widths = append(widths, columnPadding) // no column of kubectl is narrower
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

// total is how wide a table with such columns is.
func total(widths []int, padding int) int {
	sum := -padding
	for _, w := range widths {
		sum += w + padding
	}
	return sum
}

// writeNarrow gives every column as much as it needs, but for the widest, which share what is left.
func writeNarrow(out io.Writer, lines [][]string, natural []int, limit int) error {
	least, padding := leastWidths(lines, longWord), columnPadding
	for padding > 1 && total(least, padding) > limit {
		padding--
	}
	for letters := longWord - 1; letters >= shortWord && total(least, padding) > limit; letters-- {
		least = leastWidths(lines, letters)
	}
	widths := least
	for most := 1; ; most++ {
		wider, grown := make([]int, len(natural)), false
		for i := range natural {
			wider[i] = max(least[i], min(natural[i], most))
			grown = grown || most < natural[i]
		}
		if total(wider, padding) > limit {
			break
		}
		if widths = wider; !grown {
			break
		}
	}
	for _, line := range lines {
		if err := writeBroken(out, line, widths, padding); err != nil {
			return err
		}
	}
	return nil
}

// leastWidths are those of columns whose words of up to some letters stay whole.
func leastWidths(lines [][]string, letters int) []int {
	var least []int
	for _, line := range lines {
		for i, text := range line {
			if i == len(least) {
				least = append(least, columnPadding)
			}
			for _, word := range cellWords(text) {
				least[i] = max(least[i], min(letters, utf8.RuneCountInString(strings.TrimSpace(word))))
			}
		}
	}
	return least
}

// writeBroken writes a row, over as many lines as its longest cell takes.
func writeBroken(out io.Writer, row []string, widths []int, padding int) error {
	cells, height := make([][]string, len(row)), 0
	for i, text := range row {
		cells[i] = inLines(text, widths[i])
		height = max(height, len(cells[i]))
	}
	for n := range height {
		var line strings.Builder
		for i := range cells {
			text := ""
			if n < len(cells[i]) {
				text = cells[i][n]
			}
			line.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+padding))
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// inLines is a cell in lines of at most width. A word that is longer still is broken, too: nothing of a name is left out.
func inLines(text string, width int) []string {
	lines, line := []string{}, ""
	for _, word := range cellWords(text) {
		if line != "" && utf8.RuneCountInString(line)+utf8.RuneCountInString(strings.TrimRight(word, " ")) > width {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		letters := []rune(line + word)
		for ; len([]rune(strings.TrimRight(string(letters), " "))) > width; letters = letters[width:] {
			lines = append(lines, string(letters[:width]))
		}
		line = string(letters)
	}
	return append(lines, strings.TrimRight(line, " "))
}

// cellWords are the parts that a cell may be broken between: behind spaces and behind the marks that join names.
func cellWords(text string) []string {
	var words []string
	for text != "" {
		end := strings.IndexAny(text, " ,/+=-")
		if end < 0 {
			return append(words, text)
		}
		words, text = append(words, text[:end+1]), text[end+1:]
	}
	return words
}
