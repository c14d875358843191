// Runs inside OpenCode. It says when a tool begins, which OpenCode itself tells only when the tool has ended, and it
// takes out what OpenCode adds to a file that is read: the AGENTS.md of the folders above it, which no setting stops.
const say = (part) => process.stdout.write(JSON.stringify({ type: "gatewright", part }) + "\n")

export const Watch = async () => {
  say({})
  return {
    "tool.execute.before": async ({ tool, callID }, { args }) => say({ tool, callID, input: args }),
    "tool.execute.after": async (_, result) => {
      const [added] = result.metadata?.loaded ?? []
      if (!added) return
      // The first place that fits: the lines of the file itself are numbered, so none of them looks like this.
      const at = result.output.indexOf(`\n\n<system-reminder>\nInstructions from: ${added}\n`)
      if (at >= 0) result.output = result.output.slice(0, at)
    },
  }
}
