package providers

import "github.com/handoff-run/handoff/internal/cloud"

// List returns the providers, the one that is taken where nobody names another first. A provider is added here, and nowhere
// else: CONTRIBUTING.md says what has to be written for it.
func List() []Provider {
	return []Provider{
		{
			Name: "local", About: "this machine, no account", Platforms: []string{"process"}, Planned: []string{"docker"},
			Open: openLocal, Server: serveLocal, Inside: enterLocal, Rotate: rotateLocal,
			Notes: map[cloud.Kind]string{
				cloud.KindRole:      "there are no roles: jobs run as the user who starts them",
				cloud.KindResources: "they are the store of job records and logs",
			},
		},
		{Name: "aws", Planned: []string{"fargate"}},
		{Name: "gcp", Planned: []string{"cloudrun"}},
		{Name: "azure", Planned: []string{"containerapps"}},
		{Name: "kubernetes", Planned: []string{"cronjob"}},
	}
}
