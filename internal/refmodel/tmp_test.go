package refmodel_test
import ("testing";"math/rand";"fmt";"strings";"os";"strconv";"time")
func TestHunt(t *testing.T) {
	seed, _ := strconv.ParseInt(os.Getenv("SEED"), 10, 64)
	r := rand.New(rand.NewSource(seed))
	found := map[string]string{}
	counts := map[string]int{}
	refused := map[string]int{}
	n := 0
	deadline := time.Now().Add(60*time.Second)
	for time.Now().Before(deadline) {
		sched := []byte{byte(r.Intn(3)), byte(r.Intn(4))}
		for range 10 + r.Intn(40) {
			op := r.Intn(opCount)
			x, y := r.Intn(256), r.Intn(256)
			if op == opBurst { y = r.Intn(12) }
			if op == opTalk { x = r.Intn(6) }
			if op == opSend { y = r.Intn(66); if r.Intn(3) > 0 { y = r.Intn(8) } }
			if op == opWait && r.Intn(3) > 0 { x = r.Intn(5) }
			if r.Intn(3) == 0 { op = []int{opSend, opTalk, opFlush, opDeliver}[r.Intn(4)]; if op == opTalk {x = r.Intn(5)} }
			sched = append(sched, byte(op), byte(x), byte(y))
		}
		w, err := play(sched, [2]int{both, both}, "")
		n++
		for k, v := range w.refused { refused[k] += v }
		if err != nil {
			d := err.(*difference)
			key := d.what + " " + d.one[:min(20,len(d.one))] + " / " + d.other[:min(20, len(d.other))]
			if strings.Contains(d.what, "after") { key = d.what }
			key = strings.NewReplacer("alice","X","bob","X").Replace(key)
			counts[key]++
			if old, ok := found[key]; !ok || len(old) > len(err.Error())+len(sched) { found[key] = err.Error() + fmt.Sprintf("\n%v", sched[len(sched)-6:]) }
		}
	}
	fmt.Println(n, "schedules", refused)
	for k, v := range found { fmt.Println("==", counts[k], k, "\n", v[:min(len(v), 1500)]) }
}
