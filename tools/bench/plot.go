package main

import (
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// line is one curve.
type line struct {
	name   string
	points plotter.XYs
}

// panel is one of the plots of a file, which stand side by side.
type panel struct {
	title, x, y string
	log         bool      // both axes
	ticks       []float64 // of x
	lines       []line
}

func (p panel) plot() (*plot.Plot, error) {
	drawn := plot.New()
	drawn.Title.Text, drawn.X.Label.Text, drawn.Y.Label.Text = p.title, p.x, p.y
	drawn.Legend.Top, drawn.Legend.Left = true, true
	var ticks []plot.Tick
	for _, t := range p.ticks {
		ticks = append(ticks, plot.Tick{Value: t, Label: strconv.FormatFloat(t, 'f', -1, 64)})
	}
	drawn.X.Tick.Marker = plot.ConstantTicks(ticks)
	var args []any
	for _, l := range p.lines {
		args = append(args, l.name, l.points)
	}
	if err := plotutil.AddLinePoints(drawn, args...); err != nil {
		return nil, err
	}
	// From a round number on, with room for the legend above.
	if p.log {
		drawn.X.Scale, drawn.Y.Scale = plot.LogScale{}, plot.LogScale{}
		drawn.Y.Tick.Marker = plot.LogTicks{Prec: -1}
		drawn.Y.Min = math.Pow(10, math.Floor(math.Log10(drawn.Y.Min)))
		drawn.Y.Max = math.Pow(10, math.Ceil(math.Log10(2*drawn.Y.Max)))
	} else {
		drawn.Y.Min, drawn.Y.Max = 0, 1.3*drawn.Y.Max
	}
	return drawn, nil
}

// writeSVG draws panels side by side.
func writeSVG(path string, panels ...panel) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	row := make([]*plot.Plot, len(panels))
	for i, p := range panels {
		var err error
		if row[i], err = p.plot(); err != nil {
			return err
		}
	}
	canvas := vgsvg.New(vg.Length(len(panels))*11*vg.Centimeter, 8*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Centimeter, PadLeft: vg.Millimeter, PadRight: 3 * vg.Millimeter, PadTop: vg.Millimeter, PadBottom: vg.Millimeter}
	whole := draw.New(canvas)
	whole.SetColor(color.White) // for pages that are dark
	whole.Fill(whole.Path())
	for i, c := range plot.Align([][]*plot.Plot{row}, tiles, whole)[0] {
		row[i].Draw(c)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := canvas.WriteTo(file); err != nil {
		return err
	}
	return file.Close()
}
