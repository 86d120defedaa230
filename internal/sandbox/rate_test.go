package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// BenchmarkAccept measures what a load test may expect of the fake Graph API over real
// connections.
func BenchmarkAccept(b *testing.B) {
	for name, o := range map[string]Options{
		"lean":     {NoStatuses: true, NoPhones: true, NoFaults: true, KeepSent: 1 << 20},
		"statuses": {NoPhones: true, NoFaults: true, KeepSent: 1 << 20},
	} {
		b.Run(name, func(b *testing.B) {
			o.WebhookURL = func() string { return "http://127.0.0.1:1" }
			s, err := New(identified(o))
			if err != nil {
				b.Fatal(err)
			}
			front := httptest.NewServer(s.Handler())
			defer front.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			body := marshalPlain(text("5491155550001", "¡Hola! 👋 ¿Con quién querés hablar?"))
			var bad atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, _ := http.NewRequest(http.MethodPost, front.URL+"/sandbox/graph/v26.0/"+testPhoneNumberID+"/messages", bytes.NewReader(body))
					req.Header.Set("Authorization", "Bearer "+testToken)
					resp, err := client.Do(req)
					if err != nil {
						bad.Add(1)
						continue
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			if bad.Load() > 0 || s.Counts().Accepted != int64(b.N) {
				b.Errorf("%d of %d accepted, %d broken", s.Counts().Accepted, b.N, bad.Load())
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
