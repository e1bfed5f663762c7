/** VLAN tags. The kernel takes the outer one off a packet and hands it over beside it. Pure. */

const ADDRESSES = 12

/** The frame as it was on the wire: with its tag behind the addresses. */
export function withVlanTag(frame: Uint8Array, tpid: number, tci: number): Uint8Array {
  const tagged = new Uint8Array(frame.length + 4)
  tagged.set(frame.subarray(0, ADDRESSES))
  const view = new DataView(tagged.buffer)
  view.setUint16(ADDRESSES, tpid)
  view.setUint16(ADDRESSES + 2, tci & 0xffff)
  tagged.set(frame.subarray(ADDRESSES), ADDRESSES + 4)
  return tagged
}
