package flow

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Measures of the drawing, in pixels. Text is measured in letters, as the font is unknown,
// so widths are generous.
const (
	cardWidth  = 380
	cardGap    = 24  // between cards of a column
	columnGap  = 110 // between columns, for the lines
	margin     = 24
	headHeight = 46
	rowHeight  = 26
	cardFoot   = 8
	areaHeight = 20
	rowRoom    = 48 // letters of an option's title and target
	headRoom   = 54 // letters of a menu's text
)

// card is a menu with its place in the drawing.
type card struct {
	menu   *Menu
	column int
	x, y   int
	height int
	kids   []*card
}

// drawing lays menus out as a tree, in columns from left to right. A menu is drawn below the
// first option that leads to it, in the order of the file.
type drawing struct {
	f      *Flow
	placed map[string]*card
	order  []*card
	right  int
	bottom int
}

// SVG draws the flow as a picture for any browser. The same flow gives the same bytes. Its
// colours follow the reader's dark or light mode.
func SVG(f *Flow) string {
	d := &drawing{f: f, placed: make(map[string]*card)}
	y := margin
	for _, root := range d.roots() {
		if d.placed[root] == nil {
			c := d.grow(root, 0)
			y = d.place(c, y) + cardGap
		}
	}
	areas := y
	d.bottom = areas + areaHeight*len(f.AreaOrder) + margin

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		d.right+margin, d.bottom, d.right+margin, d.bottom, "Menús y áreas de la conversación")
	b.WriteString(svgStyle)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%d"/>`+"\n", d.right+margin, d.bottom)
	d.areas(&b, areas)
	for _, c := range d.order {
		d.links(&b, c)
	}
	for _, c := range d.order {
		d.card(&b, c)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

const svgStyle = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2933}
.page{fill:#f6f8fa}.card{fill:#fff;stroke:#c9d3dc}.head{fill:#e7f6ee}.rule{stroke:#e4e9ee}
.id{font-weight:600}.small{font-size:11px;fill:#5f6f7d}.code{font-weight:600;fill:#0b7a53}
.tag{font-size:11px;fill:#8a4b00}.go{font-size:11px;fill:#0b5cad}.line{fill:none;stroke:#7fa8cf;stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#e4e9ee}.page{fill:#14191d}.card{fill:#1d252b;stroke:#3a4650}.head{fill:#17372b}.rule{stroke:#2b353d}
.small{fill:#9fb0bd}.code{fill:#5fd3a5}.tag{fill:#f0b36a}.go{fill:#8cc1f5}.line{stroke:#456787}}
</style>
`

// roots returns the start menus, then all menus, for those that no option leads to.
func (d *drawing) roots() []string {
	var list []string
	for _, line := range d.f.LineOrder {
		list = append(list, d.f.Lines[line].Start)
	}
	return append(list, d.f.MenuOrder...)
}

// grow makes the tree below a menu. A menu that is already placed is not placed again.
func (d *drawing) grow(id string, column int) *card {
	m := d.f.Menus[id]
	c := &card{menu: m, column: column, height: headHeight + rowHeight*len(m.Options) + cardFoot}
	d.placed[id] = c
	d.order = append(d.order, c)
	for _, o := range m.Options {
		if o.Menu != "" && d.placed[o.Menu] == nil && d.f.Menus[o.Menu] != nil {
			c.kids = append(c.kids, d.grow(o.Menu, column+1))
		}
	}
	return c
}

// place puts a tree at a height and returns its lower end: children below each other, the
// parent in the middle.
func (d *drawing) place(c *card, top int) int {
	c.x = margin + c.column*(cardWidth+columnGap)
	d.right = max(d.right, c.x+cardWidth)
	end := top
	for i, kid := range c.kids {
		if i > 0 {
			end += cardGap
		}
		end = d.place(kid, end)
	}
	c.y = top + max(0, (end-top-c.height)/2)
	return max(end, c.y+c.height)
}

// rowMiddle is the y of an option's row.
func (c *card) rowMiddle(i int) int { return c.y + headHeight + rowHeight*i + rowHeight/2 }

// links draws a line from each option to its menu, if that is further right.
func (d *drawing) links(b *strings.Builder, c *card) {
	for i, o := range c.menu.Options {
		to := d.placed[o.Menu]
		if to == nil || to.column <= c.column {
			continue
		}
		x1, y1, x2, y2 := c.x+cardWidth, c.rowMiddle(i), to.x, to.y+headHeight/2
		bend := (x2 - x1) / 2
		fmt.Fprintf(b, `<path class="line" d="M%d %dC%d %d %d %d %d %d"/>`+"\n", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
	}
}

func (d *drawing) card(b *strings.Builder, c *card) {
	fmt.Fprintf(b, "<g>\n<rect class=\"card\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", c.x, c.y, cardWidth, c.height)
	fmt.Fprintf(b, "<path class=\"head\" d=\"M%d %dv-%da7 7 0 0 1 7-7h%da7 7 0 0 1 7 7v%dz\"/>\n",
		c.x+1, c.y+headHeight, headHeight-8, cardWidth-16, headHeight-8)
	write(b, "id", c.x+12, c.y+19, "", c.menu.ID+d.startOf(c.menu.ID))
	write(b, "small", c.x+12, c.y+36, "", shorten(oneLine(c.menu.Text), headRoom))
	for i, o := range c.menu.Options {
		y := c.rowMiddle(i)
		if i > 0 {
			fmt.Fprintf(b, "<path class=\"rule\" d=\"M%d %dh%d\"/>\n", c.x+12, y-rowHeight/2, cardWidth-24)
		}
		write(b, "code", c.x+12, y+5, "", o.Code)
		title := shorten(oneLine(o.Title), rowRoom*2/3)
		class, where := d.target(o)
		write(b, "", c.x+44, y+5, "", title)
		write(b, class, c.x+cardWidth-12, y+5, "end", shorten(where, rowRoom-len([]rune(title))))
	}
	b.WriteString("</g>\n")
}

// startOf lists the lines that start in a menu.
func (d *drawing) startOf(menu string) string {
	var lines []string
	for _, id := range d.f.LineOrder {
		if d.f.Lines[id].Start == menu {
			lines = append(lines, id)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return shorten("  ← "+strings.Join(lines, ", "), headRoom-len(menu))
}

// target returns the label of an option's target.
func (d *drawing) target(o Option) (class, text string) {
	switch {
	case o.Menu != "":
		return "go", "› " + o.Menu
	case o.Handoff != nil && o.Handoff.Tag != "":
		return "tag", o.Handoff.Area + " · " + o.Handoff.Tag
	case o.Handoff != nil:
		return "tag", o.Handoff.Area
	default:
		return "small", "contesta"
	}
}

// areas lists the teams below the menus.
func (d *drawing) areas(b *strings.Builder, top int) {
	for i, id := range d.f.AreaOrder {
		a := d.f.Areas[id]
		text := id + " · " + oneLine(a.Name)
		if a.Expected != "" {
			text += " · " + oneLine(a.Expected)
		}
		write(b, "tag", margin, top+areaHeight*(i+1), "", shorten(text, headRoom))
	}
}

// write puts escaped text at a place.
func write(b *strings.Builder, class string, x, y int, anchor, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d"`, x, y)
	if class != "" {
		fmt.Fprintf(b, ` class="%s"`, class)
	}
	if anchor != "" {
		fmt.Fprintf(b, ` text-anchor="%s"`, anchor)
	}
	b.WriteString(">")
	_ = xml.EscapeText(b, []byte(text)) // a Builder takes everything
	b.WriteString("</text>\n")
}

// oneLine removes line breaks and WhatsApp's bold from a text.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "*", "")), " ")
}
