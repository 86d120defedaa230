package main

import (
	"cmp"
	"strings"

	"github.com/psivisionhub/psi-router/internal/phone"
)

type phoneCmd struct {
	Number  []string `arg:"" help:"Number, however it is written."`
	Country string   `placeholder:"AR" help:"Where a number without country code belongs; otherwise default_country."`
}

func (phoneCmd) Help() string {
	return `Examples:
  psi-router phone 011 15 5555-0001
  psi-router phone "+52 1 55 1234 5678" --lang en`
}

func (c *phoneCmd) Run(e *env) error {
	country := strings.ToUpper(c.Country)
	if country == "" {
		cfg, err := e.localConfig()
		if err != nil {
			return err
		}
		country = cfg.DefaultCountry
	}
	x := phone.Explain(strings.Join(c.Number, " "), country)
	if e.JSON {
		type rule struct {
			Rule phone.Rule `json:"rule"`
			Text string     `json:"text"`
		}
		rules := make([]rule, len(x.Rules))
		for i, r := range x.Rules {
			rules[i] = rule{r, r.Text(e.Lang)}
		}
		if err := e.printJSON(struct {
			phone.Explanation
			Rules []rule `json:"rules"`
		}{x, rules}); err != nil {
			return err
		}
	} else {
		e.printf("%s\n", e.style(bold, cmp.Or(x.E164, "–")))
		for _, r := range x.Rules {
			e.printf("  %s\n", r.Text(e.Lang))
		}
		if len(x.Rules) == 0 {
			e.printf("  %s\n", e.say(isCanonical))
		}
	}
	return failIf(x.Key == "")
}
