// Long numbers for people: the beginning and the end to read, all of it to copy.

import { h } from "../dom.js";
import { toast } from "./toast.js";

export const brief = (text, ends = 6) => (text.length > 2 * ends + 3 ? `${text.slice(0, ends)}…${text.slice(-ends)}` : text);

/** A number that copies itself when pressed. */
export const copyable = (text, what, ends) =>
  h(
    "button",
    {
      type: "button",
      class: "copyable",
      title: text,
      "aria-label": `Copy ${what} ${text}`,
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          toast(`Copied ${what}`);
        } catch {
          toast(text); // no right to the clipboard: then it can be selected here
        }
      },
    },
    brief(text, ends),
  );

const UNITS = 10n ** 18n;
/** An amount in wei as coins, exact: "0.25 ETH". */
export function coins(wei, coin) {
  if (!/^[0-9]+$/.test(wei ?? "")) return "";
  const [whole, part] = [BigInt(wei) / UNITS, BigInt(wei) % UNITS];
  const rest = part ? `.${String(part).padStart(18, "0").replace(/0+$/, "")}` : "";
  return `${whole}${rest} ${coin}`;
}
export const percent = (bps) => `${Number((bps / 100).toFixed(2))} %`;
