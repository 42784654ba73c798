// Package thumbturn holds no code: it is the map of the repository, and
// layers_test.go keeps it.
//
// A caller asks to use a secret in a place. The broker identifies the caller,
// decides by policy, waits for a human where it must, writes down the intent,
// opens the secret, delivers it to that place, and writes down the outcome.
//
// Every package is one word of that sentence, or a door to it. A floor may
// import the floors below it, not its neighbours, save where the test says so.
//
//	floor 5   cmd/thumbturn  cmd/thumbturnd                             mains
//	floor 4b  internal/cli (root command)  internal/cli/<command>
//	          internal/{mcp,hook,helper,scan}                           other processes, all over sdk
//	          sdk                                                       imports api and ref only
//	floor 4a  internal/daemon                                           assembles the daemon process
//	          internal/door/{socket,egress,web,connect,sshagent,team}   protocol to caller, want and sink
//	floor 3   internal/broker (+ into, sign, handoff, reveal, vault,
//	          grant, lease, answer, passkey, account, internal/{gate,open,
//	          slot,sink,...})                                           the waist
//	floor 2b  internal/{identity,approve,ledger,device}                 durable facts
//	floor 2a  internal/store (+ sqlite, storetest)                      ciphertext and hashes
//	          internal/{kernel,logind,away,fprint,winhello,desktop,
//	          tpm,config}                                              what the system says and keeps; settings
//	floor 1   internal/{policy,sealed,canon,proof,agent,project,
//	          foreign,archive}                                          pure: no I/O, no clock, no goroutine
//	floor 0   ref  api  internal/{fault,mask,dotenv,atomicfile,term,
//	          digest,escape,recipe,strict,local}                        import nothing of ours
//
// Of all programs only thumbturnd links the code that can decrypt.
package thumbturn
