package bench

import (
	"cmp"
	"flag"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
)

var (
	ratios = flag.Bool("ratios", false, "measure, and print the table")
	write  = flag.Bool("write", false, "with -ratios: keep the figures, and put them into the documents")
	rounds = flag.Int("rounds", 21, "how often each row is measured, ours and floor in turn")
)

// batch is how long one measurement of one side lasts, roughly.
const batch = 12 * time.Millisecond

// measured is the middle of all rounds, for one operation.
type measured struct {
	cpu           time.Duration
	allocs, bytes uint64
}

// TestRatios prints the tables with -ratios, and otherwise runs every row once,
// so that none of them rots. It asserts no time: machines differ and are busy.
func TestRatios(t *testing.T) {
	t.Log("µs of CPU, allocations and bytes an operation; the ratio is the middle of the ratios of neighbours")
	var all results
	for _, suite := range suites {
		t.Log(suite.String() + " beside its floor")
		all.add(suite.String(), run(t, allRows(suite)))
	}
	t.Log("PQ3A (left) beside PQ3, ordinary messages")
	all.add("PQ3A/PQ3", run(t, suiteRows()))
	if *ratios && *write {
		all.write(t)
	}
}

func run(t *testing.T, rows []row) (outcomes []outcome) {
	for _, r := range rows {
		if *ratios {
			outcomes = append(outcomes, r.measure())
			t.Log(outcomes[len(outcomes)-1].line())
			continue
		}
		r.ours()
		if r.floor != nil {
			r.floor()
		}
	}
	return outcomes
}

// suiteRows hold the suites against each other: what tag and post-quantum
// authentication add to an ordinary message.
func suiteRows() (rows []row) {
	for _, size := range sizes {
		stronger := slices.Concat(streamRows(account.PQ3A, size), turnRows(account.PQ3A, size)[:2])
		published := slices.Concat(streamRows(account.PQ3, size), turnRows(account.PQ3, size)[:2])
		for i, r := range stronger {
			rows = append(rows, row{r.name, r.ours, published[i].ours, mostSuiteRatio})
		}
	}
	return rows
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// measure runs both sides in turn and takes the middle of each and of the
// ratios of neighbours, so that a slow moment of the machine hits both.
func (r row) measure() outcome {
	n, m := repetitions(r.ours), repetitions(r.floor)
	var a, b []measured
	var quotients []float64
	for range *rounds {
		x, y := sample(r.ours, n), sample(r.floor, m)
		a, b = append(a, x), append(b, y)
		quotients = append(quotients, float64(x.cpu)/float64(max(1, y.cpu)))
	}
	slices.Sort(quotients)
	return r.outcome(median(a), median(b), quotients[len(quotients)/2])
}

func median(all []measured) measured {
	slices.SortFunc(all, func(a, b measured) int { return cmp.Compare(a.cpu, b.cpu) })
	return all[len(all)/2]
}

// repetitions is how many operations fill a batch.
func repetitions(op func()) (n int) {
	if op == nil {
		return 0
	}
	op()
	for start := time.Now(); time.Since(start) < batch; n++ {
		op()
	}
	return max(n, 1)
}

// sample is one batch: CPU time of the whole process, garbage collection
// included.
func sample(op func(), n int) measured {
	if n == 0 {
		return measured{}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processTime()
	for range n {
		op()
	}
	spent := processTime() - start
	runtime.ReadMemStats(&after)
	count := uint64(n)
	return measured{spent / time.Duration(n), (after.Mallocs - before.Mallocs) / count, (after.TotalAlloc - before.TotalAlloc) / count}
}

// processTime is the CPU time that this process has used.
func processTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkCore is the same rows for Go's own tools.
func BenchmarkCore(b *testing.B) {
	for _, suite := range suites {
		for _, r := range allRows(suite) {
			b.Run(suite.String()+"/"+r.name+"/ours", loop(r.ours))
			if r.floor != nil {
				b.Run(suite.String()+"/"+r.name+"/floor", loop(r.floor))
			}
		}
	}
}

func loop(op func()) func(*testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			op()
		}
	}
}
