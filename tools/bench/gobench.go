package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// goBenchmark is one of the Go benchmarks, with the medians of its runs.
type goBenchmark struct {
	pkg, name     string // name without the number of cores
	seconds       float64
	bytes, allocs float64
	runs          int
}

// readGoBenchmarks reads what go test -bench printed, in its order.
func readGoBenchmarks(path string) ([]goBenchmark, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read Go benchmarks: %w", err)
	}
	defer file.Close()
	type key struct{ pkg, name string }
	var order []key
	values := map[key]map[string][]float64{}
	r := benchfmt.NewReader(file, path)
	for r.Scan() {
		record, isResult := r.Result().(*benchfmt.Result)
		if !isResult {
			continue
		}
		name, cores := record.Name.String(), ""
		if _, parts := record.Name.Parts(); len(parts) > 0 && parts[len(parts)-1][0] == '-' {
			cores = string(parts[len(parts)-1])
		}
		k := key{record.GetConfig("pkg"), strings.TrimSuffix(name, cores)}
		if values[k] == nil {
			values[k] = map[string][]float64{}
			order = append(order, k)
		}
		for _, v := range record.Values {
			values[k][v.Unit] = append(values[k][v.Unit], v.Value)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("read Go benchmarks: %w", err)
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("no Go benchmarks in %s", path)
	}
	var all []goBenchmark
	for _, k := range order {
		v := values[k]
		all = append(all, goBenchmark{
			pkg: k.pkg[strings.LastIndexByte(k.pkg, '/')+1:], name: k.name, runs: len(v["sec/op"]),
			seconds: median(v["sec/op"]), bytes: median(v["B/op"]), allocs: median(v["allocs/op"]),
		})
	}
	return all, nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
