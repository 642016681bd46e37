import type { ArgsDef, CommandDef } from 'citty';
import { command } from './command.ts';
import type { Reply } from './http.ts';
import { pathId } from './ids.ts';
import { type Session, show } from './session.ts';

type Switched = {
  /** Where the things are: `/v1/hooks`. */
  path: string;
  /** The one word that names a thing, under its name in the help. */
  word: ArgsDef;
  about: { enable: string; disable: string };
  lines: (session: Session, reply: Reply) => string[];
};

/** The commands `enable` and `disable` of things that are switched by a POST to the path of that name. */
export function switchCommands({
  path,
  word,
  about,
  lines,
}: Switched): Record<'enable' | 'disable', CommandDef> {
  const [key = ''] = Object.keys(word);
  const one = (name: 'enable' | 'disable'): CommandDef =>
    command({
      name,
      about: about[name],
      args: word,
      run: async (session, args) => {
        const reply = await session.api.post(`${path}/${pathId(String(args[key]))}/${name}`, {});
        show(session, reply, () => lines(session, reply));
        return 'ok';
      },
    });
  return { enable: one('enable'), disable: one('disable') };
}
