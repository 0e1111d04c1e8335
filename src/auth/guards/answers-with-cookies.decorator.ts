import { Reflector } from '@nestjs/core';

type Body = Readonly<Record<string, unknown>>;

/** Whether a request with this body asks for cookies. The body has not been validated yet. */
export const CookieRoute = Reflector.createDecorator<(body: Body) => boolean>();

/**
 * For public routes that can set or clear cookies. Pages of other origins may call them only if they do not ask for
 * cookies.
 */
export const AnswersWithCookies = (unless: (body: Body) => boolean) => CookieRoute((body) => !unless(body));
