export default null;
export const monaco = null;
