package bulkhead_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/optiontest"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[bulkhead.Option]
	wrong := func(option, value string, opts ...bulkhead.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	tenants := bulkhead.WithTenant(handrail.ByHost)
	long := strings.Repeat("k", handrail.MaxKeyLen+1)
	optiontest.Run(t, "bulkhead", bulkhead.New, bulkhead.Middleware, []mistake{
		wrong("Option", "0", bulkhead.Option(nil)),
		wrong("+Basic", "-2", bulkhead.Basic(-2)),
		wrong("+Basic", "1000001", bulkhead.Basic(1_000_001)),
		wrong("+PerTenant", "<nil>", bulkhead.PerTenant(nil, 1)),
		wrong("PerTenant", "-2", bulkhead.PerTenant(handrail.ByHost, -2)),
		wrong("PerOperation", "1000001", bulkhead.PerOperation(1_000_001)),
		wrong("ByPriority", "<nil>", bulkhead.ByPriority(nil)),
		wrong("WithName", strings.Repeat("n", 65), bulkhead.WithName(strings.Repeat("n", 65))),
		wrong("WithLimit", "-2", bulkhead.WithLimit(-2)),
		wrong("+WithTenant", "<nil>", bulkhead.WithTenant(nil)),
		wrong("WithTenantLimit", "-9", tenants, bulkhead.WithTenantLimit(-9)),
		wrong(`WithTenantLimits["acme"]`, "-2", tenants, bulkhead.WithTenantLimits(map[string]int{"acme": -2})),
		wrong("WithTenantLimits", "129", tenants, bulkhead.WithTenantLimits(map[string]int{long: 1})),
		wrong("+WithTenantLimits", "1", bulkhead.WithTenantLimits(map[string]int{"acme": 1})),
		wrong("+WithGuarantees", "1", bulkhead.WithGuarantees(map[string]int{"acme": 1})),
		wrong("+WithGuarantees", "1", tenants, bulkhead.WithMaxWait(0), bulkhead.WithGuarantees(map[string]int{"acme": 1})),
		wrong("+WithGuarantees", "12", tenants, bulkhead.WithLimit(11), bulkhead.WithGuarantees(map[string]int{"acme": 6, "other": 6})),
		wrong(`+WithGuarantees["acme"]`, "11", tenants, bulkhead.WithGuarantees(map[string]int{"acme": 11})),
		wrong(`+WithGuarantees["acme"]`, "3", tenants, bulkhead.WithTenantLimits(map[string]int{"acme": 2}), bulkhead.WithGuarantees(map[string]int{"acme": 3})),
		wrong(`+WithGuarantees["acme"]`, "-1", tenants, bulkhead.WithGuarantees(map[string]int{"acme": -1})),
		wrong("WithOperation", "<nil>", bulkhead.WithOperation(nil)),
		wrong("WithOperationLimit", "-2", bulkhead.WithOperationLimit(-2)),
		wrong(`WithOperationLimits["GET /"]`, "1000001", bulkhead.WithOperationLimits(map[string]int{"GET /": 1_000_001})),
		wrong("WithMaxKeys", "0", bulkhead.WithMaxKeys(0)),
		wrong("WithMaxKeys", "1000001", bulkhead.WithMaxKeys(1_000_001)),
		wrong("WithMaxWait", "-1ns", bulkhead.WithMaxWait(-1)),
		wrong("WithMaxWait", "1m0.000000001s", bulkhead.WithMaxWait(time.Minute+1)),
		wrong("WithMaxQueue", "-1", bulkhead.WithMaxQueue(-1)),
		wrong("WithTenantQueue", "-1", bulkhead.WithTenantQueue(-1)),
		wrong("WithTenantQueue", "1000001", bulkhead.WithTenantQueue(1_000_001)),
		wrong("WithPriority", "<nil>", bulkhead.WithPriority(nil)),
		wrong("WithPriorityHeader", "<nil>", bulkhead.WithPriorityHeader("")),
		wrong("WithPriorityHeader", "X/Priority", bulkhead.WithPriorityHeader("X/Priority")),
		wrong("WithAgeing", "-1ns", bulkhead.WithAgeing(-1)),
		wrong("WithAgeing", "2m0s", bulkhead.WithAgeing(2*time.Minute)),
		wrong("WithExempt", "<nil>", bulkhead.WithExempt(nil)),
		wrong("WithStatus", "399", bulkhead.WithStatus(399)),
		wrong("WithStatus", "600", bulkhead.WithStatus(600)),
		wrong("WithStatus", "408", bulkhead.WithStatus(408)),
		wrong("WithTenantStatus", "200", bulkhead.WithTenantStatus(200)),
		wrong("WithMessage", "1025", bulkhead.WithMessage(strings.Repeat("m", 1025))),
		wrong("WithMaxRetryAfter", "999ms", bulkhead.WithMaxRetryAfter(999*time.Millisecond)),
		wrong("WithRejectionHandler", "<nil>", bulkhead.WithRejectionHandler(nil)),
		wrong("OnReject", "<nil>", bulkhead.OnReject(nil)),
	})
}

func TestTheEndsOfEveryRangeAreLegal(t *testing.T) {
	tenants := bulkhead.WithTenant(handrail.ByHost)
	for name, opts := range map[string][]bulkhead.Option{
		"least": {bulkhead.Basic(0), bulkhead.PerTenant(handrail.ByHost, 0), bulkhead.PerOperation(0), bulkhead.WithMaxKeys(1), bulkhead.WithMaxWait(0),
			bulkhead.WithMaxQueue(0), bulkhead.WithTenantQueue(0), bulkhead.WithAgeing(0), bulkhead.WithStatus(400), bulkhead.WithMaxRetryAfter(time.Second)},
		"most": {bulkhead.Basic(1e6), bulkhead.PerTenant(handrail.ByHost, 1e6), bulkhead.PerOperation(1e6), bulkhead.WithMaxKeys(1e6), bulkhead.WithMaxWait(time.Minute),
			bulkhead.WithMaxQueue(1e6), bulkhead.WithTenantQueue(1e6), bulkhead.WithAgeing(time.Minute), bulkhead.WithStatus(599), bulkhead.WithMaxRetryAfter(24 * time.Hour)},
		"unlimited":      {bulkhead.Basic(bulkhead.Unlimited), bulkhead.PerTenant(handrail.ByHost, bulkhead.Unlimited), bulkhead.PerOperation(bulkhead.Unlimited)},
		"empty tables":   {bulkhead.WithTenantLimits(nil), bulkhead.WithOperationLimits(nil), bulkhead.WithGuarantees(nil)},
		"all guaranteed": {tenants, bulkhead.WithLimit(10), bulkhead.WithGuarantees(map[string]int{"a": 10, "b": 0})},
		"without limits": {tenants, bulkhead.WithLimit(bulkhead.Unlimited), bulkhead.WithTenantLimit(bulkhead.Unlimited), bulkhead.WithGuarantees(map[string]int{"a": 1e6, "b": 1e6})},
		"long name":      {bulkhead.WithName(strings.Repeat("n", 64)), bulkhead.WithMessage(strings.Repeat("m", 1024))},
		"long key":       {tenants, bulkhead.WithTenantLimits(map[string]int{strings.Repeat("k", handrail.MaxKeyLen): 1})},
	} {
		if _, err := bulkhead.New(opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrappingNothingPanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "bulkhead: ") {
			t.Errorf("panicked with %q", got)
		}
	}()
	made(t).Wrap(nil)
	t.Error("did not panic")
}

func TestTablesAreCopied(t *testing.T) {
	own := map[string]int{"acme": 7}
	b := made(t, bulkhead.WithTenant(byTenant), bulkhead.WithTenantLimits(own), bulkhead.WithGuarantees(own))
	own["acme"] = 3
	b.Wrap(noop).ServeHTTP(&nullWriter{map[string][]string{}}, request("T", "acme"))
	if got := b.Stats().ByTenant[0].Limit; got != 7 {
		t.Errorf("%d", got)
	}
}
