package manifest

import "testing"

// BenchmarkRead reads 50,000 pods of two kilobytes per operation, which is what the time per operation of the
// offline commands is promised for: less than ten seconds on two cores.
func BenchmarkRead(b *testing.B) {
	const pods = 50_000
	for _, f := range forms() {
		b.Run(f.name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(int64(writeCorpus(b, dir, f, pods)))
			for b.Loop() {
				set, err := Read(b.Context(), Options{Paths: []string{dir}})
				if err != nil {
					b.Fatal(err)
				}
				if got := len(set.Objects); got != pods {
					b.Fatalf("got %d objects, want %d", got, pods)
				}
			}
			b.ReportMetric(pods/(b.Elapsed().Seconds()/float64(b.N)), "pods/s")
		})
	}
}
