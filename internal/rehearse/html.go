package rehearse

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

//go:embed report.html
var page string

// HTML writes the report as one self-contained file with its charts. lang is es or en.
func HTML(to io.Writer, r Report, lang string) error {
	w := func(name string) string { return words[name].In(lang) }
	t, err := template.New("report").Funcs(template.FuncMap{
		"w":    w,
		"span": span,
		"num":  func(n any) string { return grouped(fmt.Sprint(n)) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("parse the page: %w", err)
	}
	if lang != "en" {
		lang = "es"
	}
	data := struct {
		Report
		Lang   string
		Date   string
		Good   bool
		Charts []chart
	}{r, lang, r.Began.UTC().Format(time.RFC1123), r.Err() == nil, r.charts(w)}
	if err := t.Execute(to, data); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// charts returns the charts of the page.
func (r Report) charts(w func(string) string) []chart {
	of := func(value func(Second) (float64, bool)) (all []point) {
		for _, s := range r.Series {
			if y, ok := value(s); ok {
				all = append(all, point{s.At, y})
			}
		}
		return all
	}
	wait := func(pick func(Second) Latency, q func(Latency) float64) []point {
		return of(func(s Second) (float64, bool) { l := pick(s); return q(l), l.Count > 0 })
	}
	webhook := func(s Second) Latency { return s.Webhook }
	reply := func(s Second) Latency { return s.Reply }
	p50 := func(l Latency) float64 { return l.P50 }
	p99 := func(l Latency) float64 { return l.P99 }
	most := func(l Latency) float64 { return l.Max }
	charts := []chart{
		draw(w("throughput"), "s", r.Wrote, plain, false,
			line{w("requests"), "a", of(func(s Second) (float64, bool) { return s.Requests, true })},
			line{w("answers"), "b", of(func(s Second) (float64, bool) { return s.Answers, !r.Blind })}),
		draw(w("webhookTime"), "s", r.Wrote, span, false,
			line{"p50", "a", wait(webhook, p50)}, line{"p99", "b", wait(webhook, p99)}, line{w("longest"), "c", wait(webhook, most)}),
	}
	if !r.Blind {
		charts = append(charts, draw(w("replyTime"), "s", r.Wrote, span, false,
			line{"p50", "a", wait(reply, p50)}, line{"p99", "b", wait(reply, p99)}, line{w("longest"), "c", wait(reply, most)}))
	}
	charts = append(charts,
		draw(w("depth"), "s", r.Wrote, plain, false, line{w("jobs"), "a", of(func(s Second) (float64, bool) { return float64(s.Depth), s.Known })}),
		draw(w("percentiles"), "%", 1, span, true,
			line{w("webhook"), "a", quantiles(r.WebhookCurve)}, line{w("reply"), "b", quantiles(r.ReplyCurve)}))
	return charts
}

// quantiles turns buckets into latency by percentile, on a scale that shows the last
// thousandth: 90 %, 99 % and 99.9 % are equally far apart.
func quantiles(curve []Bucket) (all []point) {
	total, sum := int64(0), int64(0)
	for _, b := range curve {
		total += b.Count
	}
	for _, b := range curve {
		sum += b.Count
		rest := max(1-float64(sum)/float64(total), 0.5/float64(total), 1e-4)
		all = append(all, point{-math.Log10(rest), max(b.Until, 0.01)})
	}
	return all
}

type point struct{ x, y float64 }

type line struct {
	name, class string
	points      []point
}

// chart is a drawing as SVG parts.
type chart struct {
	Title  string
	Lines  []drawn
	X, Y   []tick
	Width  int
	Height int
}

type drawn struct{ Name, Class, Path, Last string }

type tick struct {
	At   float64
	Text string
}

const (
	chartWidth, chartHeight          = 720, 220
	left, right, top, bottom float64 = 64, 12, 12, 24
	plotWidth                        = chartWidth - left - right
	plotHeight                       = chartHeight - top - bottom
)

// draw places lines in a plot whose x axis reaches at least until. With log, y is
// logarithmic and x counts nines.
func draw(title, unit string, until float64, name func(float64) string, log bool, lines ...line) chart {
	c := chart{Title: title, Width: chartWidth, Height: chartHeight}
	maxX, maxY, minY := until, 1.0, math.Inf(1)
	for _, l := range lines {
		for _, p := range l.points {
			maxX, maxY, minY = max(maxX, p.x), max(maxY, p.y), min(minY, p.y)
		}
	}
	var y func(float64) float64
	if log {
		low, high := math.Floor(math.Log10(min(minY, maxY))), math.Ceil(math.Log10(maxY))
		high = max(high, low+1)
		y = func(v float64) float64 { return top + plotHeight*(1-(math.Log10(v)-low)/(high-low)) }
		for e := low; e <= high; e++ {
			c.Y = append(c.Y, tick{y(math.Pow(10, e)), name(math.Pow(10, e))})
		}
	} else {
		step := nice(maxY / 4)
		maxY = math.Ceil(maxY/step) * step
		y = func(v float64) float64 { return top + plotHeight*(1-v/maxY) }
		for v := 0.0; v <= maxY+step/2; v += step {
			c.Y = append(c.Y, tick{y(v), name(v)})
		}
	}
	x := func(v float64) float64 { return left + plotWidth*v/maxX }
	if log {
		for i, text := range []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %"} {
			if float64(i) <= maxX {
				c.X = append(c.X, tick{x(float64(i)), text})
			}
		}
	} else {
		for v := 0.0; v <= maxX; v += nice(maxX / 6) {
			c.X = append(c.X, tick{x(v), plain(v) + " " + unit})
		}
	}
	for _, l := range lines {
		if len(l.points) == 0 {
			continue
		}
		var path strings.Builder
		for i, p := range l.points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(p.x), y(p.y))
		}
		if len(l.points) == 1 {
			path.WriteString("h2")
		}
		c.Lines = append(c.Lines, drawn{l.name, l.class, path.String(), name(l.points[len(l.points)-1].y)})
	}
	return c
}

// nice returns a round step of at least v.
func nice(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(max(v, 1e-3))))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}

func plain(v float64) string {
	if v == math.Trunc(v) {
		return grouped(fmt.Sprintf("%.0f", v))
	}
	return fmt.Sprintf("%.3g", v)
}

// span formats milliseconds for people.
func span(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 1:
		return fmt.Sprintf("%.2g ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.3g ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.3g s", ms/1000)
	}
}

// grouped separates thousands with a narrow space, as both languages do.
func grouped(s string) string {
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
